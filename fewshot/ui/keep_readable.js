// The gallery as the verdict on its pictures has it, whatever became of it meanwhile: by path, null
// for what is to go, else the file that takes its place. In the browser, where nothing is lost of
// what arrives in the time that an answer of the server would take.
(verdict, gallery) => {
  const found = gallery ?? [];
  const judged = (item) => item.image && Object.hasOwn(verdict ?? {}, item.image.path);
  if (!found.some(judged)) return { __type__: "update" };
  return [
    found.flatMap((item) => {
      if (!judged(item)) return [item];
      const image = verdict[item.image.path];
      return image ? [{ image, caption: null }] : [];
    }),
  ];
}
