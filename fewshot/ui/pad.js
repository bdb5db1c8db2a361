// Runs once for each pad; `element`, `props`, `trigger` and `watch` are Gradio's.
const canvas = element.querySelector("canvas");
const hint = element.querySelector(".pad-hint");
const buttons = Object.fromEntries(
  ["add", "undo", "clear"].map((what) => [what, element.querySelector(`[data-do=${what}]`)]),
);
const pen = canvas.getContext("2d");
let strokes = []; // each a list of points, so that the last one can be undone
let cleared = []; // what Undo brings back, as an example clears the pads, too
// The points that are being drawn, and by which pointer: a palm or a second finger adds none.
let stroke = null;
let sent = 0; // how many strokes are on their way to the server: one drawing at a time

function redraw() {
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.strokeStyle = "#15171c";
  pen.lineWidth = canvas.width / 28;
  pen.lineCap = pen.lineJoin = "round";
  for (const [first, ...rest] of strokes) {
    pen.beginPath();
    pen.moveTo(...first);
    for (const point of rest.length ? rest : [first]) pen.lineTo(...point); // a tap is a dot
    pen.stroke();
  }
  hint.hidden = strokes.length > 0;
  for (const button of Object.values(buttons)) button.disabled = strokes.length === 0;
  buttons.undo.disabled &&= cleared.length === 0;
  buttons.add.disabled ||= sent > 0;
  // A button that can no longer be pressed would leave the keys to the page, see below.
  const { activeElement } = document;
  if (activeElement?.disabled && element.contains(activeElement)) focusPad();
  const unsent = canvas.classList.contains("unsent");
  canvas.classList.toggle("unsent", strokes.length > sent); // Classify asks for these two
  canvas.classList.toggle("sending", sent > 0);
  if (unsent && strokes.length === 0) trigger("clear");
}

function focusPad() {
  canvas.focus({ preventScroll: true });
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * canvas.width) / box.width,
    ((event.clientY - box.top) * canvas.height) / box.height,
  ];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || stroke) return;
  focusPad();
  canvas.setPointerCapture(event.pointerId); // a stroke may leave the pad and come back
  stroke = { points: [at(event)], by: event.pointerId };
  cleared = [];
  strokes.push(stroke.points);
  redraw();
});
canvas.addEventListener("pointermove", (event) => {
  if (event.pointerId !== stroke?.by) return;
  stroke.points.push(at(event));
  redraw();
});
// The last of these comes even if the pad is taken away under the pen.
for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
  canvas.addEventListener(end, (event) => {
    if (event.pointerId === stroke?.by) stroke = null;
  });
}

buttons.undo.addEventListener("click", () => {
  if (strokes.length > sent) strokes.pop();
  else [strokes, cleared] = [[...strokes, ...cleared], []];
  redraw();
});
// A browser would take back what was typed last, the name of a class.
element.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  if (!event.shiftKey && !stroke) buttons.undo.click();
});
buttons.clear.addEventListener("click", () => {
  cleared = strokes.slice(sent);
  strokes = strokes.slice(0, sent);
  redraw();
});
buttons.add.addEventListener("click", () => {
  sent = strokes.length;
  redraw();
  props.value = canvas.toDataURL("image/png");
  trigger("submit");
});
// The value is emptied once the drawing is among the pictures; until then it stays, and what was
// drawn meanwhile stays after. "failed" keeps all of it.
watch("value", () => {
  if (props.value?.startsWith("data:")) return;
  if (!props.value) strokes = strokes.slice(sent);
  sent = 0;
  redraw();
});
// For a class that moves up, and its drawing with it; what is on its way to the server stays.
canvas.taken = () => strokes.splice(sent);
canvas.give = (moved) => {
  strokes.push(...moved);
  cleared = [];
  if (moved.length) element.querySelector("details").open = true;
  redraw();
};
redraw();
