// `manxctl services`: which addresses of Services this node announces, as what, and why each of the others is not.
import type { ServicesAnswer } from '../../api/views.ts';
import type { ServiceEntry } from '../../services/announced.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import type { View } from '../sessions.ts';
import { NOTHING, table } from '../table.ts';

/** @param addresses only these, or what a Service of this name has; empty: all */
export async function services(context: Context, addresses: readonly string[]): Promise<void> {
  const answer = await context.api.get<ServicesAnswer>('/v1/services');
  const shown = { ...answer, entries: answer.entries.filter((entry) => isMeant(entry, addresses)) };
  context.show(shown, (view) => renderServices(shown, { now: context.now(), ...view }));
}

function isMeant({ prefix, service }: ServiceEntry, words: readonly string[]): boolean {
  const names = [prefix, prefix.replace(/\/.*/, ''), service, service?.replace(/.*\//, '')];
  return words.length === 0 || words.some((word) => names.includes(word));
}

export function renderServices({ status, entries }: ServicesAnswer, view: View): string[] {
  const error = status.error === undefined ? [] : [`not in step: ${status.error}`, ''];
  if (entries.length === 0) return [...error, 'Nothing: no range in BGPConfiguration contains an address of this.'];
  const announced = entries.filter(({ announcedAs }) => announcedAs !== undefined);
  const routes = new Set(announced.map(({ announcedAs }) => announcedAs)).size;
  return [
    ...error,
    `${announced.length} of ${countText(entries.length, 'range or address', 'ranges and addresses')} announced, by ${countText(routes, 'route')}`,
    '',
    ...serviceTable(entries, view),
  ];
}

const useTexts = {
  range: 'range',
  cluster: 'cluster IP',
  external: 'external IP',
  loadBalancer: 'load balancer',
  remembered: 'not known yet',
} as const satisfies Record<ServiceEntry['use'], string>;

function serviceTable(entries: readonly ServiceEntry[], { paint }: View): string[] {
  return table(
    [
      {
        head: 'ADDRESS',
        cell: ({ prefix, use }: ServiceEntry) => (use === 'range' ? prefix : prefix.replace(/\/.*/, '')),
      },
      { head: 'USE', cell: ({ use }) => useTexts[use] },
      { head: 'SERVICE', cell: ({ service = NOTHING }) => service },
      {
        head: 'ANNOUNCED AS',
        cell: ({ announcedAs }) => (announcedAs === undefined ? { text: 'no', paint: paint.bad } : announcedAs),
      },
      { head: 'WHY', cell: ({ reason }) => reason },
    ],
    entries,
  );
}
