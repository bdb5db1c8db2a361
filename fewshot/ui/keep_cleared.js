// The cross among a gallery's tools takes all its pictures away. First what is there is kept, by a
// click on #keep-given, after which the cross is clicked again.
if (globalThis.cleared === undefined) {
  globalThis.cleared = null; // the cross of the gallery that is to be cleared
  const cross = "#given .pictures .icon-button-wrapper > button:last-child";
  const first = (event) => {
    const clicked = event.target.closest?.(cross);
    if (!clicked || clicked === globalThis.cleared) return;
    event.stopPropagation();
    globalThis.cleared = clicked;
    document.querySelector("#keep-given").click();
  };
  document.addEventListener("click", first, true);
}
