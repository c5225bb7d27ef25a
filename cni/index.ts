// The public face of cni/: what the agent needs to serve the plugin.
export { CniError, type CniErrorCode } from './error.ts';
export { type Operations, type OperationsOptions, createOperations } from './ops.ts';
export { type Reconciled } from './reconcile.ts';
export { type PluginAnswer, type PluginRequest } from './request.ts';
export { UnreadableRecords, fileRecords } from './records.ts';
export { type ServeOptions, serve } from './server.ts';
export { fileSysctls } from './sysctl.ts';
export { replayTombstones } from './tombstones.ts';
export { handleOf, hostInterfaceName } from './wiring.ts';
export type * from './port.ts';
