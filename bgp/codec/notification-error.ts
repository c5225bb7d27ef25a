// The error that says: the peer must act. Whoever catches it sends exactly this NOTIFICATION and closes the session.
import { describeNotification } from './notification.ts';

const EMPTY = new Uint8Array(0);

export class NotificationError extends Error {
  override readonly name = 'NotificationError';
  readonly code: number;
  readonly subcode: number;
  /** As the RFC of this code and subcode asks for. A copy: it outlives the message that was at fault. */
  readonly data: Uint8Array;
  /** What was wrong in particular, for the operator; not sent. Empty when code and subcode say it all. */
  readonly reason: string;

  constructor(code: number, subcode: number, data: Uint8Array = EMPTY, reason = '') {
    // The reason says more than the data does, so it takes its place.
    const words = describeNotification({ code, subcode, data: reason === '' ? data : EMPTY });
    super(reason === '' ? words : `${words}: ${reason}`);
    this.code = code;
    this.subcode = subcode;
    this.data = data;
    this.reason = reason;
  }
}
