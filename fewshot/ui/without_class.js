// Takes a class out of the slots: from their number and what all hold to what they hold without it.
// Those behind it move up, their pads' drawings, too, and FIRST slots stay, if only as empty ones.
// SLOTS, FIRST and INDEX are put in from Python. In the browser, where nothing is lost of what is
// typed or uploaded meanwhile.
(count, ...values) => {
  const left = Math.max(FIRST, count - 1);
  globalThis.sayAloud(`${values[INDEX] || "The class"} was taken away.`);
  const ofSlots = [0, 1, 2].map(() => values.splice(0, SLOTS)); // names, galleries, descriptions
  ofSlots.forEach((column, kind) => {
    column.splice(INDEX, 1);
    column.push(kind === 1 ? [] : "");
  });
  const canvas = (i) => document.querySelector(`#pad-${i + 1} canvas`);
  const pads = Array.from({ length: SLOTS }, (_, i) => canvas(i));
  const drawn = pads.map((pad) => pad?.taken() ?? []);
  drawn.splice(INDEX, 1);
  pads.forEach((pad, i) => pad?.give(drawn[i] ?? []));
  const update = (visible) => ({ __type__: "update", visible });
  const shown = Array.from({ length: SLOTS }, (_, i) => update(i < left));
  return [left, ...shown, ...ofSlots.flat()];
}
