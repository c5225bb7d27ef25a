// What the store hands out is shared with everybody who asked: nobody may write into it.

/** Freezes a tree of plain data in place. */
export function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeDeep(part);
  return value;
}
