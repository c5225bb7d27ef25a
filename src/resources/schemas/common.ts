// Descriptions that several kinds share.
import { type Schema, boolean, object, text } from '../schema.ts';

export const secretReference: Schema = object({
  secretKeyRef: {
    says: 'the Secret and the key in it',
    required: true,
    schema: object({
      name: { says: 'name of the Secret', required: true, schema: text() },
      key: { says: 'key inside the Secret', required: true, schema: text() },
      optional: { says: "Kubernetes' own; a password that cannot be had means no session either way", schema: boolean },
    }),
  },
});

/** Kernel route metrics: 0 means "the default", and the highest one is the kernel's own. */
export const ROUTE_PRIORITY_MAX = 2_147_483_646;
export const UINT32_MAX = 0xffff_ffff;
