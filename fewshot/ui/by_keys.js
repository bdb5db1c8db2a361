// What Gradio leaves undone for those who use keys, or have the page read out.
if (!globalThis.sayAloud) {
  globalThis.sayAloud = (said) => {
    const aloud = document.querySelector("#said-aloud");
    aloud.textContent = ""; // the same words again would not be said
    setTimeout(() => (aloud.textContent = said), 100);
  };
  const lost = () => document.activeElement === document.body;
  // To what had it as something began, or to another where that is gone.
  globalThis.focusBack = (other) =>
    setTimeout(() => {
      if (lost()) globalThis.startedBy?.focus({ preventScroll: true });
      if (lost() && other) document.querySelector(other).focus({ preventScroll: true });
    }, 200);

  // A list of choices opens with the focus, and would stay open without it, over whatever lies
  // there; of a choice by Enter the focus would be lost.
  document.addEventListener("keydown", ({ key, target }) => {
    if (!target.matches?.("[role=combobox]")) return;
    const close = () =>
      target.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    if (key === "Tab") {
      // It scrolls, so the focus would go there first, and be lost with it.
      const list = document.getElementById(target.getAttribute("aria-controls"));
      if (list) list.tabIndex = -1;
      close();
    } else if (key === "Enter") {
      setTimeout(() => {
        if (!lost()) return;
        target.focus();
        close();
      });
    }
  });

  // One that has the focus still and is closed would stay so under a click.
  document.addEventListener("mousedown", ({ target }) => {
    if (!target.matches?.("[role=combobox][aria-expanded=false]")) return;
    if (target === document.activeElement) target.blur();
  });

  // Groups have their titles beside them, and their radio buttons each a name of its own, anew
  // whenever one is chosen: arrows would not lead from one to the next. Galleries lose their titles
  // with the first picture.
  const labels = new Map(
    globalThis.gradio_config?.components.map(({ props }) => [props.elem_id, props.label]),
  );
  const name = () => {
    for (const group of document.querySelectorAll("fieldset:not([aria-label])"))
      group.ariaLabel = group.querySelector("[data-testid=block-info]")?.textContent.trim() ?? "";
    for (const radio of document.querySelectorAll("fieldset [type=radio]")) {
      const { id } = radio.closest("fieldset");
      if (radio.name !== id) radio.name = id;
    }
    for (const gallery of document.querySelectorAll(".pictures:not([role])")) {
      gallery.role = "group";
      gallery.ariaLabel = labels.get(gallery.id) ?? "";
    }
    // A button in a button: the outer one does nothing by keys.
    for (const outer of document.querySelectorAll(".pictures .icon-button:has(.upload-container)"))
      outer.tabIndex = -1;
  };

  // Files that were chosen are told of, and the focus goes on where more can be added.
  let awaited = null;
  const thumbnails = (gallery) => gallery.querySelectorAll(".thumbnail-item").length;
  document.addEventListener("change", ({ target }) => {
    const gallery = target.matches?.("[type=file]") && target.closest(".pictures");
    if (gallery) awaited = { gallery, before: thumbnails(gallery) };
  }, true);
  const arrived = () => {
    if (!awaited) return;
    const { gallery, before } = awaited, now = thumbnails(gallery);
    if (now <= before) return;
    awaited = null;
    sayAloud(`${gallery.ariaLabel}: ${now - before} added, ${now} in all.`);
    if (lost()) gallery.querySelector(".icon-button .upload-container")?.focus({ preventScroll: true });
  };

  let asked = 0;
  new MutationObserver(() => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      name();
      arrived();
    });
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ["name"] });
}
