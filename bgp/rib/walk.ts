// Long work in short steps: a walk over the paths of one peer, or over all paths of a family.
import { type PathTable, pathField } from './path-table.ts';

export interface Walk {
  /** The peer whose paths these are; undefined for all paths. */
  readonly peer: number | undefined;
  /** What the walk is for: a walk for the same begins anew instead of running twice. */
  readonly purpose: string;
  /** Visits up to `limit` paths. @returns whether there are more. */
  step(limit: number): boolean;
}

/**
 * The paths of a peer, the last first. The visit may remove the path it is given; paths that come in meanwhile are not
 * visited.
 */
export function walkPeer(paths: PathTable, peer: number, purpose: string, visit: (path: number) => void): Walk {
  let place = paths.countOf(peer);
  return {
    peer,
    purpose,
    step: (limit) => {
      place = Math.min(place, paths.countOf(peer));
      for (let left = limit; left > 0 && place > 0; left--) visit(paths.at(peer, --place));
      return place > 0;
    },
  };
}

/** Every path of the family that import has accepted. */
export function walkAccepted(paths: PathTable, purpose: string, visit: (path: number) => void): Walk {
  let path = paths.end;
  return {
    peer: undefined,
    purpose,
    step: (limit) => {
      for (let left = limit; left > 0 && path > 1; left--) {
        // A free record has no attributes.
        if (paths.get(--path, pathField.imported) !== 0) visit(path);
      }
      return path > 1;
    },
  };
}
