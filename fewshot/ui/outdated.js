// What the inputs hold, in a few characters: the same for the same inputs, whatever way they came.
// Takes the values of outdated.inputs_of, in their order; N_SLOTS is put in from Python.
(listing, preset, queries, count, ...others) => {
  const pictures = (gallery) => (gallery ?? []).map(({ image }) => image?.path);
  const [names, galleries, descriptions] = [0, 1, 2].map(() => others.splice(0, N_SLOTS));
  const slots = names
    .map((name, i) => [(name ?? "").trim(), pictures(galleries[i]), (descriptions[i] ?? "").trim()])
    .slice(0, count)
    .filter(([name, files, more]) => name || files.length || more); // an empty one is no class
  // Until the page knows its models there is none, and the first it then has is the same choice.
  const model = others.pop();
  if (model) globalThis.firstModel ??= model;
  others.push(model === globalThis.firstModel ? null : model);
  const chosen = others.map((value) => value ?? ""); // null until the settings are opened
  const held = JSON.stringify([preset, pictures(queries), listing || slots, chosen]);
  let hash = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < held.length; i++) hash = Math.imul(hash ^ held.charCodeAt(i), 0x01000193);
  return `${hash >>> 0}-${held.length}`;
}
