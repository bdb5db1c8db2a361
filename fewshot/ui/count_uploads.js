// Counts uploads on their way in globalThis.uploads: of one to a gallery that has pictures already,
// Gradio shows no trace. And says of one that failed what can be done; MEGABYTES is put in from
// Python.
if (globalThis.uploads === undefined) {
  globalThis.uploads = 0;
  const { fetch } = globalThis;
  // Gradio has words of its own for an answer that says no, and next to none for one that never
  // comes; what goes wrong as it reads one it tells as it is, or, of a gallery that has pictures, by
  // its detail, which no text has by itself.
  const words = "The upload did not arrive: try again. A file may have MEGABYTES MB.";
  const lost = { message: Object.assign(new String(words), { detail: words }) };
  const failed = { ok: true, json: () => Promise.reject(lost) };
  globalThis.fetch = async (address, ...how) => {
    if (!/\/upload(\?|$)/.test(address)) return fetch(address, ...how);
    globalThis.uploads++;
    try {
      const answer = await fetch(address, ...how);
      if (!answer.ok) return failed;
      await answer.clone().text();
      return answer;
    } catch {
      return failed;
    } finally {
      setTimeout(() => globalThis.uploads--, 100); // once the gallery has the pictures
    }
  };
}
