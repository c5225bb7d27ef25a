// The public face of fib/.
export { type CleanupResult, cleanup } from './cleanup.ts';
export { diff } from './diff.ts';
export { type DumpOptions, startDump } from './dump.ts';
export { FibError, type FibErrorCode } from './error.ts';
export { type BatchOptions, type IpBatch, startBatch } from './ip.ts';
export { type MonitorOptions, startMonitor } from './monitor.ts';
export { type Fib, type FibOptions, openFib } from './open.ts';
export type * from './port.ts';
export { type Reconciler, type ReconcilerPorts, type RouteChange, createReconciler } from './reconciler.ts';
export type { RouteState } from './report.ts';
export { type Resolution, type Resolver, createResolver } from './resolver.ts';
export {
  BGP_METRIC,
  type FibStatus,
  type NextHop,
  PROTOCOL,
  type Route,
  type RouteTrouble,
  protocolName,
} from './route.ts';
