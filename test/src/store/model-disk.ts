// A file system in memory, as unkind as POSIX allows: a path is looked up first and used later, so that what it led to
// may have been moved in between; a file's content and a folder's entries are lost in a power failure unless they were
// synced, in order (as with a journal) or each for itself. Before each step the caller's turn comes.
import { normalize } from 'node:path/posix';
import type { Disk } from '../../../src/store/disk.ts';

interface File {
  readonly type: 'file';
  text: string;
  synced: boolean;
}
interface Folder {
  readonly type: 'folder';
  readonly entries: Map<string, Node>;
  /** Whether it is still in the tree: nothing can be made in a folder that was removed. */
  linked: boolean;
}
type Node = File | Folder;

/** One change of a folder's entries. */
interface Change {
  readonly folders: readonly Folder[];
  /** What appeared. */
  readonly node?: Node;
  /** Whether one of its folders has been synced since. */
  safe: boolean;
  readonly apply: (copies: Copies) => void;
}

export class ModelDisk {
  private root: Folder = folder();
  private readonly firstRoot = this.root;
  private readonly changes: Change[] = [];
  /** With a journal: how many of the changes are safe. */
  private journaled = 0;

  /** The disk as one process sees it; `turn` resolves when its next step may happen. */
  as(turn: () => Promise<void>): Disk {
    return {
      names: async (path) => {
        const found = await this.find(turn, path);
        await turn();
        return found?.type === 'folder' && found.linked ? [...found.entries.keys()] : undefined;
      },
      read: async (path) => {
        const found = await this.find(turn, path);
        await turn();
        return found?.type === 'file' ? found.text : undefined;
      },
      isThere: async (path) => (await this.find(turn, path)) !== undefined,
      makeFolder: async (path) => {
        await turn();
        this.makePath(path);
      },
      writeNew: async (path, text) => {
        const { parent, name } = await this.findParent(turn, path);
        await turn();
        if (parent === undefined || !parent.linked) return false;
        const file: File = { type: 'file', text: '', synced: false };
        this.change(parent, name, file);
        await turn();
        file.text = text;
        await turn();
        file.synced = true;
        this.makeSafe(file);
        return true;
      },
      sync: async (path) => {
        const found = await this.find(turn, path);
        await turn();
        if (found !== undefined) this.makeSafe(found);
      },
      move: async (from, to) => {
        const source = await this.findParent(turn, from);
        const target = await this.findParent(turn, to);
        await turn();
        return this.move(source, target);
      },
      removeFile: async (path) => {
        const { parent, name } = await this.findParent(turn, path);
        await turn();
        if (parent?.entries.get(name)?.type === 'file') this.change(parent, name, undefined);
      },
      removeEmpty: async (path) => {
        const { parent, name } = await this.findParent(turn, path);
        await turn();
        this.removeIfEmpty(parent, name);
      },
      removeTree: async (path) => this.removeTree(turn, path),
      changedAt: async (path) => ((await this.find(turn, path)) === undefined ? undefined : 0),
    };
  }

  /** The power fails. With a journal, of the changes that are not safe the first `more` survive. */
  loseUnsynced(more: (unsafe: number) => number): ModelDisk {
    const kept = this.journaled + more(this.changes.length - this.journaled);
    return this.rebuilt(this.changes.slice(0, kept));
  }

  /** The power fails. Without a journal, each change that is not safe survives or does not. */
  loseAnyUnsynced(survives: (index: number) => boolean): ModelDisk {
    return this.rebuilt(this.changes.filter(({ safe }, i) => safe || survives(i)));
  }

  private rebuilt(changes: readonly Change[]): ModelDisk {
    const disk = new ModelDisk();
    const copies = new Copies(this.firstRoot, disk.root);
    for (const { apply } of changes) apply(copies);
    return disk;
  }

  private async find(turn: () => Promise<void>, path: string): Promise<Node | undefined> {
    await turn();
    return this.lookUp(path);
  }

  private async findParent(
    turn: () => Promise<void>,
    path: string,
  ): Promise<{ parent: Folder | undefined; name: string }> {
    const parts = path.split('/');
    const name = parts.pop()!;
    const parent = await this.find(turn, parts.join('/'));
    return { parent: parent?.type === 'folder' ? parent : undefined, name };
  }

  private lookUp(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const part of normalize(path)
      .split('/')
      .filter((part) => part !== '.' && part !== '')) {
      node = node?.type === 'folder' ? node.entries.get(part) : undefined;
    }
    return node;
  }

  private makePath(path: string): void {
    let node = this.root;
    for (const part of path.split('/').filter((part) => part !== '')) {
      const next = node.entries.get(part) ?? this.change(node, part, folder());
      node = next as Folder;
    }
  }

  private move(
    source: { parent: Folder | undefined; name: string },
    target: { parent: Folder | undefined; name: string },
  ): 'done' | 'missing' | 'taken' {
    const moved = source.parent?.linked ? source.parent.entries.get(source.name) : undefined;
    if (moved === undefined || !target.parent?.linked) return 'missing';
    const there = target.parent.entries.get(target.name);
    if (there?.type === 'folder' && there.entries.size > 0) return 'taken';
    if (there?.type === 'folder') there.linked = false;
    const [from, to] = [source.parent!, target.parent];
    from.entries.delete(source.name);
    to.entries.set(target.name, moved);
    this.changes.push({
      folders: [from, to],
      safe: false,
      apply: (copies) => {
        copies.of(from).entries.delete(source.name);
        copies.of(to).entries.set(target.name, copies.of(moved));
      },
    });
    return 'done';
  }

  private removeIfEmpty(parent: Folder | undefined, name: string): void {
    const there = parent?.entries.get(name);
    if (there?.type !== 'folder' || there.entries.size > 0) return;
    there.linked = false;
    this.change(parent!, name, undefined);
  }

  private async removeTree(turn: () => Promise<void>, path: string): Promise<void> {
    const node = await this.find(turn, path);
    if (node?.type === 'folder') {
      for (const [name, part] of node.entries) {
        if (part.type === 'folder') await this.removeTree(turn, `${path}/${name}`);
        else {
          await turn();
          this.change(node, name, undefined);
        }
      }
    }
    const { parent, name } = await this.findParent(turn, path);
    await turn();
    this.removeIfEmpty(parent, name);
  }

  private change(parent: Folder, name: string, node: Node | undefined): Node | undefined {
    if (node === undefined) parent.entries.delete(name);
    else parent.entries.set(name, node);
    this.changes.push({
      folders: [parent],
      ...(node !== undefined && { node }),
      safe: false,
      apply: (copies) => {
        const { entries } = copies.of(parent);
        if (node === undefined) entries.delete(name);
        else entries.set(name, copies.of(node));
      },
    });
    return node;
  }

  private makeSafe(synced: Node): void {
    for (const [i, change] of this.changes.entries()) {
      const touched = synced.type === 'folder' && change.folders.includes(synced);
      change.safe ||= touched;
      if (touched || change.node === synced) this.journaled = Math.max(this.journaled, i + 1);
    }
  }
}

/** What is left of folders and files after a power failure. */
class Copies {
  private readonly copies: Map<Node, Node>;

  constructor(root: Folder, copy: Folder) {
    this.copies = new Map([[root, copy]]);
  }

  of<N extends Node>(node: N): N {
    const copy = this.copies.get(node) ?? (node.type === 'folder' ? folder() : { ...node, text: textOf(node) });
    this.copies.set(node, copy);
    return copy as N;
  }
}

function textOf({ text, synced }: File): string {
  return synced ? text : '';
}

function folder(): Folder {
  return { type: 'folder', entries: new Map(), linked: true };
}
