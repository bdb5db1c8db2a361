// What the inputs of the Classify tab hold, for after a reload: pictures by their paths.
// Takes the values of outdated.inputs_of, in their order; N_SLOTS is put in from Python.
(listing, preset, queries, count, ...others) => {
  const paths = (gallery) => (gallery ?? []).map(({ image }) => image?.path);
  const [names, galleries, descriptions] = [0, 1, 2].map(() => others.splice(0, N_SLOTS));
  const slots = names.map((name, i) => [name ?? "", paths(galleries[i]), descriptions[i] ?? ""]);
  const list = new DOMParser().parseFromString(listing ?? "", "text/html");
  const zip = list.querySelector("[data-content]")?.dataset.content ?? "";
  return { preset, zip, slots: slots.slice(0, count), queries: paths(queries) };
}
