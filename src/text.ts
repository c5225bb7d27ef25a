// How numbers with units are written for people.

/** How long something has been, in at most two units: "12 s", "2 m", "9 h", "3d 4h". Never negative. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m`;
  const hours = Math.floor(seconds / 3600);
  return hours < 24 ? `${hours} h` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

export function agoText(ms: number): string {
  return `${durationText(ms)} ago`;
}

/** "1 route", "2 routes". */
export function countText(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
