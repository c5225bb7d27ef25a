// From the cluster's resources to what this node should do: sessions, announcements, routes. Pure.
export { speakingNodes } from './speaking-node.ts';
export { type ClusterView, readView, routePriority } from './view.ts';
export { type DesiredSpeaker, type SpeakerInput, desiredSpeaker, servicesBasis } from './speaker.ts';
export { type LearnedRoute, type RoutesInput, desiredRoutes, routeLearner } from './routes.ts';
