// A token bucket: a few things at once, and in the long run one every so often. Pure but for its count; time is given.

export interface BucketSize {
  readonly burst: number;
  /** One more is allowed after this time. */
  readonly refillMs: number;
}

export class Bucket {
  private readonly size: BucketSize;
  private tokens: number;
  private countedAt = 0;

  constructor(size: BucketSize) {
    this.size = size;
    this.tokens = size.burst;
  }

  /** Takes a token, if there is one. */
  take(now: number): boolean {
    if (this.waitMs(now) > 0) return false;
    this.tokens--;
    return true;
  }

  /** Until there is a token; 0 when there is one. */
  waitMs(now: number): number {
    this.earn(now);
    return this.tokens >= 1 ? 0 : Math.ceil((1 - this.tokens) * this.size.refillMs);
  }

  /** As if nothing had ever been taken. */
  isFull(now: number): boolean {
    this.earn(now);
    return this.tokens >= this.size.burst;
  }

  private earn(now: number): void {
    // A clock that was set back earns nothing, and takes nothing.
    const earned = Math.max(0, now - this.countedAt) / this.size.refillMs;
    this.tokens = Math.min(this.size.burst, this.tokens + earned);
    this.countedAt = now;
  }
}
