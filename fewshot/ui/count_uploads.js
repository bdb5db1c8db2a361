// Counts uploads on their way in globalThis.uploads: of one to a gallery that has pictures already,
// Gradio shows no trace.
if (globalThis.uploads === undefined) {
  globalThis.uploads = 0;
  const { fetch } = globalThis;
  globalThis.fetch = async (address, ...how) => {
    if (!/\/upload(\?|$)/.test(address)) return fetch(address, ...how);
    globalThis.uploads++;
    try {
      const answer = await fetch(address, ...how);
      await answer.clone().text();
      return answer;
    } finally {
      setTimeout(() => globalThis.uploads--, 100); // once the gallery has the pictures
    }
  };
}
