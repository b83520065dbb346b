/** So many at once, answers in the order of the items; the first failure ends it. */
export async function inParts<T, R>(items: readonly T[], atOnce: number, ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let k = next++; k < items.length; k = next++) {
      const item = items[k];
      if (item !== undefined) answers[k] = await ask(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return answers;
}
