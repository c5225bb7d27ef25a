// What this process knows of its node's blocks and handles without asking: as it last read or wrote them. Whoever acts
// on it writes with compare-and-swap, so that knowing something old costs a lost write and nothing else; whoever would
// refuse somebody something, or conclude that nothing is there, asks the store first.
//
// It learns by listening: all of a node's reads and writes go through `store`.
import type { Prefix } from '#ip';
import { blockName, handleName } from '../resources/names.ts';
import type { IPAMBlock, IPAMHandle, Kind, Kinds } from '../resources/types.ts';
import type { Store } from '../store/port.ts';
import { hostOf } from './block.ts';
import { isHalfDeleted } from './data.ts';

export class Known {
  readonly store: Store;
  readonly #node: string;
  readonly #blocks = new Map<string, IPAMBlock>();
  readonly #handles = new Map<string, IPAMHandle>();
  /** Names of blocks whose last write failed: what is known of them may be wrong. */
  readonly #doubtful = new Set<string>();
  #areAllKnown = false;

  constructor(store: Store, node: string) {
    this.#node = node;
    this.store = this.#listen(store);
  }

  /** The node's blocks; undefined when they have to be read. */
  ownBlocks(): readonly IPAMBlock[] | undefined {
    return this.#areAllKnown ? this.lastSeen() : undefined;
  }

  /** The node's block of this prefix, if it is known. */
  block(cidr: Prefix): IPAMBlock | undefined {
    const name = blockName(cidr);
    return this.#doubtful.has(name) ? undefined : this.#blocks.get(name);
  }

  handle(handle: string): IPAMHandle | undefined {
    return this.#handles.get(handleName(handle));
  }

  /** The node's blocks as they were last seen, for when nobody can be asked. */
  lastSeen(): readonly IPAMBlock[] {
    return [...this.#blocks.values()];
  }

  /** These, just read, are all blocks of the node. */
  allAre(blocks: readonly IPAMBlock[]): void {
    this.#blocks.clear();
    this.#doubtful.clear();
    for (const block of blocks) this.#blocks.set(block.metadata.name, block);
    this.#areAllKnown = true;
  }

  #listen(store: Store): Store {
    const learn = <K extends Kind>(kind: K, name: string, present: Kinds[K] | undefined): void => {
      this.#learn(kind, name, present);
    };
    const during = async <T>(kind: Kind, name: string, call: Promise<T>): Promise<T> => {
      try {
        return await call;
      } catch (error) {
        // Lost, or nobody knows: what we knew may be wrong.
        this.#doubt(kind, name);
        throw error;
      }
    };
    return {
      list: (kind, where) => store.list(kind, where),
      names: (kind) => store.names(kind),
      async get(kind, name) {
        const present = await store.get(kind, name);
        learn(kind, name, present);
        return present;
      },
      async create(kind, resource) {
        const { name } = resource.metadata;
        const created = await during(kind, name, store.create(kind, resource));
        learn(kind, name, created);
        return created;
      },
      async update(kind, resource) {
        const { name } = resource.metadata;
        const updated = await during(kind, name, store.update(kind, resource));
        learn(kind, name, updated);
        return updated;
      },
      async delete(kind, resource) {
        const { name } = resource.metadata;
        await during(kind, name, store.delete(kind, resource));
        learn(kind, name, undefined);
      },
      watch: (kinds, look) => store.watch(kinds, look),
      status: () => store.status(),
    };
  }

  #learn<K extends Kind>(kind: K, name: string, present: Kinds[K] | undefined): void {
    if (kind === 'IPAMBlock') this.#learnBlock(name, present as IPAMBlock | undefined);
    if (kind !== 'IPAMHandle') return;
    const handle = present as IPAMHandle | undefined;
    if (handle === undefined || isHalfDeleted(handle)) this.#handles.delete(name);
    else this.#handles.set(name, handle);
  }

  #learnBlock(name: string, block: IPAMBlock | undefined): void {
    const isOwn = block !== undefined && !isHalfDeleted(block) && hostOf(block.spec) === this.#node;
    this.#doubtful.delete(name);
    if (isOwn) this.#blocks.set(name, block);
    else this.#blocks.delete(name);
  }

  #doubt(kind: Kind, name: string): void {
    if (kind === 'IPAMHandle') this.#handles.delete(name);
    if (kind === 'IPAMBlock') this.#doubtful.add(name);
    if (kind === 'IPAMBlock' || kind === 'BlockAffinity') this.#areAllKnown = false;
  }
}
