// Files dropped on a class, or on a gallery that has pictures already, go there: Gradio takes them in
// an empty gallery alone. Dropped anywhere else they do nothing; a browser would open them in place
// of the page, and all that it holds would be lost.
if (!globalThis.takesDrops) {
  globalThis.takesDrops = true;
  let own = false; // a picture of the page itself is dragged
  let under = null; // what it would be dropped on
  const brought = (event) => !own && event.dataTransfer?.types.includes("Files");
  const place = (event) => brought(event) && event.target.closest?.(".slot, .pictures");
  const mark = (now) => {
    if (now === under) return;
    under?.classList.remove("dropping");
    now?.classList.add("dropping");
    under = now;
  };
  const hand = async (gallery, files) => {
    // There is none while pictures are uploaded to an empty one, and the one behind the camera would
    // take theirs for all there are.
    const input = () => gallery.querySelector(":is(.upload-wrapper, .grid-wrap) input[type=file]");
    while (gallery.isConnected && !input()) await new Promise((done) => setTimeout(done, 50));
    if (!gallery.isConnected) return;
    const taking = input();
    taking.files = files;
    taking.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("dragstart", () => (own = true), true);
  document.addEventListener("dragend", () => (own = false), true);
  // First, as Gradio lets nobody behind it hear what happens over what takes drops itself.
  document.addEventListener("dragover", (event) => mark(place(event) || null), true);
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(null), true);
  document.addEventListener("drop", () => mark(null), true);
  document.addEventListener("dragover", (event) => {
    if (!brought(event) || event.defaultPrevented) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = place(event) ? "copy" : "none";
  });
  document.addEventListener("drop", (event) => {
    if (!brought(event) || event.defaultPrevented) return;
    event.preventDefault();
    const there = place(event);
    const gallery = there?.matches(".pictures") ? there : there?.querySelector(".pictures");
    if (gallery && event.dataTransfer.files.length) hand(gallery, event.dataTransfer.files);
  });
}
