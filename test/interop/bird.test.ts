import { bird } from './daemons/bird.ts';
import { matrix } from './matrix.ts';

matrix(bird, 1);
