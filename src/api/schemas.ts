// The shapes of what the API takes and gives, as JSON Schemas: they check requests and are the OpenAPI description.
//
// Answers are printed as they are, never cut to a schema, so a field that is missing here is not lost; a test holds real
// answers against these schemas, closed, so that it does not stay missing either.
import { Type as T, type TSchema } from 'typebox';

const closed = { additionalProperties: false } as const;

function shape<P extends Record<string, TSchema>>(properties: P, description?: string) {
  return T.Object(properties, { ...closed, ...(description !== undefined && { description }) });
}

function oneOf<V extends string>(...values: V[]) {
  return T.Enum<V[]>(values);
}

const optional = T.Optional;
const time = (description: string) => T.Number({ description: `${description} (ms since the epoch)` });
const count = (description?: string) => T.Integer({ minimum: 0, ...(description !== undefined && { description }) });
const address = () => T.String({ description: 'an IPv4 or IPv6 address' });
const prefix = () => T.String({ description: 'address/length' });
const family = () => oneOf('ipv4-unicast', 'ipv6-unicast');

export const Problem = shape({
  file: optional(T.String()),
  line: optional(T.Integer()),
  kind: optional(T.String()),
  name: optional(T.String()),
  path: optional(T.String({ description: 'where in the resource: "spec.peerIP"' })),
  message: T.String(),
});

export const ErrorAnswer = shape({
  error: shape({
    code: T.String({ description: 'stable: invalid, not_found, exists, conflict, unavailable, busy, internal' }),
    message: T.String(),
    problems: optional(T.Array(Problem)),
  }),
});

export const Version = shape({ version: T.String(), node: T.String(), startedAt: time('when the agent started') });

const Timer = shape({ leftSeconds: T.Number(), totalSeconds: T.Number() });
const Messages = shape({
  open: count(),
  update: count(),
  notification: count(),
  keepalive: count(),
  routeRefresh: count(),
});
const FamilyState = shape({
  family: family(),
  negotiated: T.Boolean(),
  received: count('prefixes in Adj-RIB-In'),
  accepted: count('of these, past the import policy'),
  advertised: count('prefixes in Adj-RIB-Out'),
  stale: count('paths kept from before a restart of the peer'),
  endOfRib: shape({ sent: T.Boolean(), received: T.Boolean() }),
  prefixLimit: optional(shape({ max: count(), action: oneOf('discard', 'close'), discarded: count() })),
});
const SessionFault = shape({
  at: time('when it happened'),
  text: T.String(),
  code: optional(T.Integer()),
  subcode: optional(T.Integer()),
  direction: optional(oneOf('sent', 'received')),
  data: optional(T.String({ description: 'of the NOTIFICATION, in hex' })),
  message: optional(T.String({ description: 'the offending message, in hex' })),
});
const Capability = T.Object(
  { name: T.String() },
  { additionalProperties: true, description: 'RFC 5492: what else there is depends on the name' },
);

const outcome = { action: oneOf('accept', 'reject'), routes: count('decided about so at this moment') };
const PolicyUse = shape({
  policy: T.String(),
  rules: T.Array(shape({ name: T.String(), ...outcome })),
  otherwise: shape(outcome, 'what no rule matches'),
  unasked: count('refused before any rule was asked: loops, next hops that are none, what iBGP forbids'),
});

export const Peer = shape({
  name: T.String(),
  kind: T.String({ description: 'node mesh, global, node specific' }),
  address: address(),
  interface: optional(T.String({ description: 'of a link-local peer' })),
  asn: T.Integer(),
  state: oneOf('Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established'),
  since: time('when it entered the state'),
  reason: optional(T.String({ description: 'why it is not up, and what is done about it' })),
  cause: optional(T.String({ description: 'why it is not up: the same from try to try' })),
  passive: T.Boolean(),
  local: optional(shape({ address: address(), port: T.Integer() })),
  remote: optional(shape({ address: address(), port: T.Integer(), openedBy: oneOf('us', 'peer') })),
  localAsn: T.Integer(),
  peerRouterId: optional(address()),
  capabilities: shape({ sent: T.Array(Capability), received: T.Array(Capability) }),
  families: T.Array(FamilyState),
  timers: shape({ hold: optional(Timer), keepalive: optional(Timer), connectRetry: optional(Timer) }),
  messages: shape({ sent: Messages, received: Messages }),
  flaps: count('how often it went down'),
  errors: T.Array(SessionFault, { description: 'the newest first, five at most' }),
  wish: optional(
    shape({
      importPolicy: optional(T.String()),
      exportPolicy: optional(T.String()),
      password: T.Boolean({ description: 'whether one is set' }),
      ttlSecurityHops: optional(T.Integer()),
      role: optional(T.String()),
      routeReflectorClient: T.Boolean(),
      gracefulRestart: shape({
        enabled: T.Boolean(),
        restartSeconds: T.Number(),
        staleSecondsMax: T.Number(),
        longLivedSeconds: T.Number(),
      }),
      shutdown: optional(T.String()),
    }),
  ),
  policies: optional(shape({ import: PolicyUse, export: optional(PolicyUse) }, 'only where one peer is asked for')),
});

const NextHop = shape({ via: optional(address()), dev: optional(T.String()) });
const Route = shape({
  prefix: prefix(),
  kind: oneOf('unicast', 'blackhole'),
  metric: T.Integer(),
  nextHops: T.Array(NextHop),
});
const Trouble = shape({
  prefix: prefix(),
  metric: T.Integer(),
  trouble: oneOf('refused', 'foreign', 'shadowed'),
  reason: T.String(),
  since: time('since when'),
  retryAt: optional(time('when it is tried again')),
});
export const KernelRoute = shape({ route: Route, state: T.String(), trouble: optional(Trouble) });

const fibStatus = {
  desired: count(),
  installed: count(),
  missing: count(),
  stale: count('ours from before a restart, kept until the peers have sent everything'),
  troubles: T.Array(Trouble),
  lastFullCheck: optional(time('when all routes were last compared')),
  repairs: count('how often somebody else changed a route of ours and it was put back'),
  error: optional(T.String()),
};
export const FibRoutes = shape({ status: shape(fibStatus), routes: T.Array(KernelRoute) });

const Attributes = shape({
  origin: oneOf('IGP', 'EGP', 'incomplete'),
  asPath: T.String(),
  asPathLength: count(),
  nextHop: address(),
  linkLocalNextHop: optional(address()),
  med: optional(T.Integer()),
  localPref: optional(T.Integer()),
  atomicAggregate: optional(T.Boolean()),
  aggregator: optional(shape({ asn: T.Integer(), address: address() })),
  communities: optional(T.Array(T.String())),
  largeCommunities: optional(T.Array(T.String())),
  extendedCommunities: optional(T.Array(T.String())),
  originatorId: optional(address()),
  clusterList: optional(T.Array(address())),
  onlyToCustomer: optional(T.Integer()),
  unknown: optional(T.Array(shape({ code: T.Integer(), flags: T.Integer(), value: T.String() }))),
});
const Path = shape({
  peer: optional(T.String({ description: 'absent for a route of this node itself' })),
  pathId: optional(T.Integer()),
  attributes: Attributes,
  since: time('when it was last heard'),
  state: oneOf('best', 'multipath', 'valid', 'rejected'),
  why: T.String(),
  rule: optional(T.String({ description: 'the rule of the import policy that let it in' })),
  stale: T.Boolean(),
});
const Export = shape({
  peer: T.String(),
  announced: T.Boolean(),
  why: T.String(),
  nextHop: optional(shape({ address: address(), unchanged: T.Boolean() })),
});
export const Routes = shape({
  routes: T.Array(
    shape({
      prefix: prefix(),
      paths: T.Array(Path),
      announcedTo: T.Array(T.String()),
      exports: optional(T.Array(Export, { description: 'what each peer is told; only where one prefix is asked for' })),
      kernel: optional(T.Array(KernelRoute)),
    }),
  ),
  more: T.Boolean(),
});

const servicesStatus = shape({
  known: T.Boolean({ description: 'otherwise only ranges are announced, and what was announced before a restart' }),
  services: count(),
  endpointSlices: count(),
  error: optional(T.String({ description: 'why this is not the newest' })),
});
export const Services = shape({
  status: servicesStatus,
  entries: T.Array(
    shape({
      prefix: prefix(),
      use: oneOf('range', 'cluster', 'external', 'loadBalancer', 'remembered'),
      service: optional(T.String({ description: 'namespace/name' })),
      announcedAs: optional(T.String({ description: 'the route that leads there, its own or a range; absent: none' })),
      reason: T.String({ description: 'why it is announced, or why not' }),
    }),
  ),
});

const Speaker = shape({
  asn: T.Integer(),
  routerId: address(),
  listening: T.Array(shape({ address: address(), port: T.Integer(), error: optional(T.String()) })),
  peers: T.Array(Peer),
  tables: shape({
    'ipv4-unicast': shape({ prefixes: count(), paths: count() }),
    'ipv6-unicast': shape({ prefixes: count(), paths: count() }),
  }),
});

export const Status = shape({
  node: T.String(),
  version: T.String(),
  startedAt: time('when the agent started'),
  health: shape({ state: oneOf('good', 'degraded'), reasons: T.Array(T.String()) }),
  parts: shape({ fib: T.Boolean(), cni: T.Boolean() }),
  bgp: optional(Speaker),
  shutDown: T.Array(T.String()),
  pods: optional(
    shape({
      wired: count(),
      adding: count(),
      blocks: T.Array(shape({ cidr: prefix(), total: count(), inUse: count() })),
    }),
  ),
  kernel: optional(shape({ ...fibStatus, forwarding: T.Array(shape({ family: T.Integer(), problem: T.String() })) })),
  nft: optional(
    shape({
      wished: T.Boolean({ description: 'whether there is to be a table inet manx' }),
      lastCheck: optional(time('when it was last seen to be as it should be')),
      repairs: count('how often somebody else changed it and it was put right'),
    }),
  ),
  services: optional(servicesStatus),
  store: shape({
    kind: oneOf('file', 'kubernetes'),
    problems: T.Array(Problem),
    inStepSince: optional(time('in step with the truth since')),
    error: optional(T.String()),
  }),
  addresses: optional(
    T.Array(
      shape({
        family: T.Integer(),
        address: optional(T.String({ description: 'with the length of its subnet' })),
        interface: optional(T.String()),
        how: T.String({ description: 'which method found it' }),
        problem: optional(T.String()),
      }),
    ),
  ),
  troubles: T.Array(Problem),
  failures: T.Array(shape({ doing: T.String(), since: time('since when'), error: T.String() })),
});

const counts = {
  total: T.Number({ description: 'exact, however large' }),
  inUse: T.Number(),
  reserved: T.Number(),
  free: T.Number(),
};
const Block = shape({ cidr: prefix(), affinity: optional(T.String()), node: optional(T.String()), ...counts });
export const IpamUse = shape({
  pools: T.Array(shape({ name: T.String(), cidr: prefix(), disabled: T.Boolean(), ...counts, blocks: T.Array(Block) })),
  blocksOutsidePools: T.Array(Block),
  borrowed: T.Array(
    shape({
      address: address(),
      borrowingNode: T.String(),
      block: prefix(),
      blockOwner: optional(T.String()),
      type: T.String(),
      allocatedTo: T.String(),
    }),
  ),
  configuration: shape({
    strictAffinity: T.Boolean(),
    autoAllocateBlocks: T.Boolean(),
    maxBlocksPerHost: T.Integer(),
    ipCooldownSeconds: T.Integer(),
    blockLimit: T.Integer({ description: 'what maxBlocksPerHost comes to' }),
  }),
});
export const AddressName = shape({ address: address() });
export const AddressUse = shape({
  address: address(),
  state: oneOf('in use', 'resting', 'free', 'outside every pool'),
  pool: optional(T.String()),
  block: optional(prefix()),
  handle: optional(T.String()),
  attributes: optional(T.Record(T.String(), T.String())),
  releasedAt: optional(T.String()),
});
export const Findings = T.Array(
  shape({
    kind: T.String(),
    message: T.String(),
    block: optional(prefix()),
    address: optional(address()),
    handle: optional(T.String()),
    node: optional(T.String()),
  }),
);

export const PeerName = shape({ name: T.String({ description: 'as in `manxctl bgp peers`' }) });
export const RoutesQuery = shape({
  prefix: optional(T.String({ description: 'this prefix; for an address, the longest that contains it' })),
  family: optional(family()),
  peer: optional(T.String()),
  limit: optional(T.Integer({ minimum: 1, maximum: 1_000_000, default: 1000, description: 'prefixes' })),
});
export const KindName = shape({ kind: T.String() });
export const ResourceName = shape({ kind: T.String(), name: T.String() });
export const Resource = T.Object(
  {
    apiVersion: T.String(),
    kind: T.String(),
    metadata: T.Object({ name: T.String() }, { additionalProperties: true }),
  },
  { additionalProperties: true, description: "Calico's v3 resources and projectmanx.org/v1; numbers may have 64 bits" },
);
export const ResourceList = T.Object(
  { apiVersion: T.String(), kind: T.String(), items: T.Array(Resource) },
  { additionalProperties: true },
);
