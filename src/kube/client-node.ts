// What is used of @kubernetes/client-node, by name: so a bundle holds this and not its thousand generated models, which
// made each program 20 MB, parsed at every start. Imported when a cluster is asked for, and not before: it takes a third of
// a second.
export { HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node';
