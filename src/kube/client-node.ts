// What is used of @kubernetes/client-node, from the modules that define it: its index also loads a thousand generated
// models. Imported when a cluster is asked for, and not before.
export { KubeConfig } from '@kubernetes/client-node/dist/config.js';
export { HttpMethod, RequestContext } from '@kubernetes/client-node/dist/gen/http/http.js';
