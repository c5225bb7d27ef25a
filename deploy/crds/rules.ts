// The rules between fields, in CEL: what the check functions of src/resources/schemas say in TypeScript, said to the API
// server, so that `kubectl apply` hears of it. What needs another object, or would cost the server too much, is left to
// the agent, which says it in status.
import { bounds } from '../../src/resources/schemas/peer-options.ts';
import { exclusive } from '../../src/resources/schemas/peer.ts';
import { ofOneNode } from '../../src/resources/schemas/bgp.ts';
import { unroutable } from '../../src/resources/classify.ts';
import { kinds } from '../../src/resources/kinds.ts';
import type { Kind } from '../../src/resources/types.ts';
import type { Rule } from './open-api.ts';

/** Where the rules stand: a path through properties and, as "[]", the items of lists; [] is the resource itself. */
export interface RulesAt {
  readonly at: readonly string[];
  readonly rules: readonly Rule[];
}

const spec = ['spec'];

function together(one: string, other: string): Rule {
  return {
    rule: `!(has(self.${one}) && has(self.${other}))`,
    message: `${other} cannot stand beside ${one}`,
    fieldPath: `.${other}`,
  };
}

function needs(field: string, other: string): Rule {
  return {
    rule: `!has(self.${field}) || has(self.${other})`,
    message: `${field} needs ${other}`,
    fieldPath: `.${field}`,
  };
}

const onlyDefault: RulesAt = {
  at: [],
  rules: [{ rule: "self.metadata.name == 'default'", message: 'there is only the one called default' }],
};

const defaultOrNode: Rule = {
  rule: "self.metadata.name == 'default' || self.metadata.name.startsWith('node.')",
  message: 'must be called default, or node.<name of a node>',
};

const BLOCK_SIZE =
  '(has(self.blockSize) ? self.blockSize : (isCIDR(self.cidr) && cidr(self.cidr).ip().family() == 6 ? 122 : 26))';
const OLD_BLOCK_SIZE = BLOCK_SIZE.replaceAll('self', 'oldSelf');

const poolRules: readonly Rule[] = [
  ...(['ipipMode', 'vxlanMode'] as const).map((field) => ({
    rule: `!has(self.${field}) || self.${field} == 'Never'`,
    message: 'this build has no tunnels, and pods of this pool would not be reached (set Never)',
    fieldPath: `.${field}`,
  })),
  {
    rule: "!has(self.allowedUses) || !('LoadBalancer' in self.allowedUses) || self.allowedUses.size() == 1",
    message: 'LoadBalancer must stand alone',
    fieldPath: '.allowedUses',
  },
  {
    rule:
      '!isCIDR(self.cidr) || (cidr(self.cidr).ip().family() == 4 ' +
      `? ${BLOCK_SIZE} >= 20 && ${BLOCK_SIZE} <= 32 : ${BLOCK_SIZE} >= 116 && ${BLOCK_SIZE} <= 128)`,
    message: 'must be 20 to 32 for IPv4 and 116 to 128 for IPv6',
    fieldPath: '.blockSize',
  },
  {
    rule: `!isCIDR(self.cidr) || cidr(self.cidr).prefixLength() <= ${BLOCK_SIZE}`,
    message: 'is smaller than one block (blockSize; 26, or 122 for IPv6)',
    fieldPath: '.cidr',
  },
  ...Object.entries(unroutable).map(([name, ranges]) => ({
    rule: `!isCIDR(self.cidr) || (${ranges
      .map((range) => `!cidr('${range}').containsCIDR(self.cidr) && !cidr(self.cidr).containsCIDR('${range}')`)
      .join(' && ')})`,
    message: `overlaps the ${name} range`,
    fieldPath: '.cidr',
  })),
  { rule: 'self.cidr == oldSelf.cidr', message: 'must stay as it was created', fieldPath: '.cidr' },
  { rule: `${BLOCK_SIZE} == ${OLD_BLOCK_SIZE}`, message: 'must stay as it was created', fieldPath: '.blockSize' },
];

function nodesOwn(): Rule {
  const schema = kinds.BGPConfiguration.spec;
  const fields = schema.type === 'object' ? Object.keys(schema.fields) : [];
  const others = fields.filter((field) => !ofOneNode.includes(field)).map((field) => `has(self.spec.${field})`);
  return {
    rule: `!self.metadata.name.startsWith('node.') || !has(self.spec) || !(${others.join(' || ')})`,
    message: `a configuration of one node may only say ${ofOneNode.join(', ')}`,
  };
}

const meshRules = ['nodeMeshPassword', 'nodeMeshMaxRestartTime'].map((field): Rule => ({
  rule: `!has(self.${field}) || !has(self.nodeToNodeMeshEnabled) || self.nodeToNodeMeshEnabled`,
  message: 'needs the mesh, and nodeToNodeMeshEnabled is false',
  fieldPath: `.${field}`,
}));

function filterRules(family: 4 | 6): readonly Rule[] {
  const bits = family === 4 ? 32 : 128;
  return [
    {
      rule: `!has(self.cidr) || !isCIDR(self.cidr) || cidr(self.cidr).ip().family() == ${family}`,
      message: `is not an IPv${family} prefix`,
      fieldPath: '.cidr',
    },
    { rule: '!has(self.cidr) || has(self.matchOperator)', message: 'cidr needs matchOperator' },
    needs('matchOperator', 'cidr'),
    needs('prefixLength', 'cidr'),
    {
      rule:
        '!has(self.prefixLength) || !has(self.prefixLength.min) || !has(self.prefixLength.max) || ' +
        'self.prefixLength.min <= self.prefixLength.max',
      message: 'min is greater than max',
      fieldPath: '.prefixLength',
    },
    {
      rule:
        `!has(self.prefixLength) || ((!has(self.prefixLength.min) || self.prefixLength.min <= ${bits}) && ` +
        `(!has(self.prefixLength.max) || self.prefixLength.max <= ${bits}))`,
      message: `must be at most ${bits}`,
      fieldPath: '.prefixLength',
    },
    {
      rule: "self.action != 'Reject' || !has(self.operations) || self.operations.size() == 0",
      message: 'change a route, and Reject drops it',
      fieldPath: '.operations',
    },
  ];
}

function durationRules(): readonly Rule[] {
  return bounds.map(({ path, min, max, orZero }): Rule => {
    const field = path.join('.');
    const given = path.map((_, i) => `!has(self.${path.slice(0, i + 1).join('.')})`).join(' || ');
    const value = `duration(self.${field})`;
    const zero = orZero ? `${value} == duration('0s') || ` : '';
    return {
      rule:
        `${given} || ${zero}(${value} >= duration('${min}s') && ${value} <= duration('${max}s') && ` +
        `${value}.getMilliseconds() % 1000 == 0)`,
      message: `must be ${orZero ? '0s or ' : ''}whole seconds from ${min}s to ${max}s`,
      fieldPath: `.${field}`,
    };
  });
}

const optionsRules: readonly Rule[] = [
  together('peers', 'peerSelector'),
  together('peers', 'mesh'),
  together('peerSelector', 'mesh'),
  {
    rule: '!has(self.mesh) || self.mesh',
    message: 'must be true or left out (none of peers, peerSelector, mesh: every peer)',
    fieldPath: '.mesh',
  },
  ...['interface', 'dynamicPrefix'].map((field) => ({
    rule: `!has(self.${field}) || has(self.peers) || has(self.peerSelector)`,
    message: 'needs peers or peerSelector: it says who particular peers are',
    fieldPath: `.${field}`,
  })),
  together('interface', 'dynamicPrefix'),
  needs('maxDynamicPeers', 'dynamicPrefix'),
  ...durationRules(),
];

export const rulesOf: Readonly<Partial<Record<Kind, readonly RulesAt[]>>> = {
  IPPool: [{ at: spec, rules: poolRules }],
  BGPConfiguration: [
    { at: [], rules: [defaultOrNode, nodesOwn()] },
    {
      at: spec,
      rules: [
        ...meshRules,
        {
          rule:
            '!has(self.communities) || self.communities.size() == 0 || ' +
            '(has(self.prefixAdvertisements) && self.prefixAdvertisements.size() > 0)',
          message: 'needs prefixAdvertisements, where communities are used',
          fieldPath: '.communities',
        },
      ],
    },
  ],
  BGPPeer: [
    {
      at: spec,
      rules: [
        ...exclusive.map(([one, other]) => together(one, other)),
        {
          rule: '!has(self.localWorkloadSelector) || has(self.asNumber)',
          message: 'asNumber is missing: localWorkloadSelector needs it',
        },
        needs('reachableBy', 'peerIP'),
        {
          rule:
            '!has(self.reachableBy) || !has(self.peerIP) || !isIP(self.reachableBy) || ' +
            "(ip(self.reachableBy).family() == 6) == (self.peerIP.startsWith('[') || isIP(self.peerIP) && ip(self.peerIP).family() == 6)",
          message: 'reachableBy and peerIP are of different families',
          fieldPath: '.reachableBy',
        },
      ],
    },
  ],
  BGPFilter: (['importV4', 'exportV4', 'importV6', 'exportV6'] as const).map((table) => ({
    at: [...spec, table, '[]'],
    rules: filterRules(table.endsWith('4') ? 4 : 6),
  })),
  PeerOptions: [{ at: spec, rules: optionsRules }],
  IPAMConfig: [
    onlyDefault,
    {
      at: spec,
      rules: [
        {
          rule:
            '!has(self.autoAllocateBlocks) || self.autoAllocateBlocks || ' +
            '(has(self.strictAffinity) && self.strictAffinity)',
          message: 'false needs strictAffinity: true',
          fieldPath: '.autoAllocateBlocks',
        },
        {
          rule:
            '!has(self.maxBlocksPerHost) || self.maxBlocksPerHost == 0 || ' +
            '(has(self.strictAffinity) && self.strictAffinity)',
          message: 'needs strictAffinity: true',
          fieldPath: '.maxBlocksPerHost',
        },
      ],
    },
  ],
  FelixConfiguration: [{ at: [], rules: [defaultOrNode] }],
  ClusterInformation: [onlyDefault],
  KubeControllersConfiguration: [onlyDefault],
};
