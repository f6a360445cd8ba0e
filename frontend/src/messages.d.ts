// Made from refine/ui/web/messages.py by `make page`; not to be edited.

/** Where somebody thinks the best value lies: near a number, within a factor or a distance, or a weight per choice. */
export interface BeliefForm {
  near?: number;
  within_factor?: number;
  within?: number;
  weights?: Array<number | null>;
}

/** What differs from another round; from the one that it came from where none is said. */
export interface Beside {
  type: "beside";
  round: string;
  other?: string;
}

/** A point of the front, as a decision. */
export interface Choose {
  type: "choose";
  round: string;
  point: number;
  note?: string;
}

/** A decision. */
export interface Decide {
  round: string;
  risk?: number;
  proposal?: string | null;
  edits?: Record<string, Edit>;
  rejected?: Array<string>;
  n?: number | null;
  sized?: boolean;
  note?: string | null;
  exploit?: number | null;
  audit?: number | null;
  belief?: Record<string, BeliefForm> | null;
  pruner?: boolean;
  workers?: number | null;
  hours?: number | null;
  trials?: number | null;
  type: "decide";
  kind: "accept" | "decline";
}

/** Bounds of a range, numbers of the levels that stay, an edit that the page began with, or one of a suggestion. */
export interface Edit {
  bounds?: Array<number>;
  keep?: Array<number>;
  as?: "started" | "suggested";
  of?: string;
  text?: string;
}

/** Which difference matters; ``None`` for what the trials can tell apart. */
export interface Epsilon {
  round: string;
  risk?: number;
  proposal?: string | null;
  type: "epsilon";
  value: number | null;
}

/** A figure of ``round.plot``, in the colours of the page. */
export interface Figure {
  round: string;
  risk?: number;
  proposal?: string | null;
  type: "figure";
  name: string;
  about?: string;
  dark?: boolean;
}

/** What a column must hold: numbers between two ends, one level, or a text with another in it. */
export interface Filter {
  low?: number;
  high?: number;
  is?: string;
  holds?: string;
}

/** The front of several goals. */
export interface Front {
  type: "front";
  round: string;
}

/** The front with other trials beside it. */
export interface FrontAnswer {
  goals: Array<FrontGoal>;
  points: Array<FrontPoint>;
  others: Array<Array<number>>;
  infeasible: Array<Array<number>>;
  about: string;
}

/** An axis of the front. */
export interface FrontGoal {
  name: string;
  direction: "maximize" | "minimize";
}

/** A point of the front: its label, its values by goal, and its texts. */
export interface FrontPoint {
  label: number;
  values: Array<number>;
  text: string;
  configuration: string;
  chosen: boolean;
}

/** The axes of the history. */
export interface History {
  type: "history";
  round: string;
}

/** What runs in the background, or ran last. */
export interface Job {
  round: string;
  running: boolean;
  pausing: boolean;
  text: string;
  log: string;
}

/** The head of the list of trials. */
export interface Listing {
  type: "list";
  round: string;
}

/** Something to note about a trial; its key says that the number is still its own. */
export interface Mark {
  type: "mark";
  round: string;
  number: number;
  key: string;
  do: "star" | "unstar" | "note" | "exclude" | "include";
  text?: string;
}

/** Which trial every dot is, as bytes. */
export interface Numbers {
  round: string;
  risk?: number;
  proposal?: string | null;
  type: "numbers";
}

/** Two parameters level by level. */
export interface Pair {
  round: string;
  risk?: number;
  proposal?: string | null;
  type: "pair";
  a: string;
  b: string;
}

/** Some rows of the list of trials. */
export interface Part {
  type: "part";
  round: string;
  by?: string;
  descending?: boolean;
  filters?: Record<string, Filter>;
  offset?: number;
}

/** The history itself, as bytes. */
export interface Past {
  type: "past";
  round: string;
}

/** Ends what runs in order, as one Ctrl-C does; a second one at once. */
export interface Pause {
  type: "pause";
}

/** What accepting would mean. */
export interface Preview {
  round: string;
  risk?: number;
  proposal?: string | null;
  edits?: Record<string, Edit>;
  rejected?: Array<string>;
  n?: number | null;
  sized?: boolean;
  note?: string | null;
  exploit?: number | null;
  audit?: number | null;
  belief?: Record<string, BeliefForm> | null;
  pruner?: boolean;
  workers?: number | null;
  hours?: number | null;
  trials?: number | null;
  type: "preview";
}

/** How far every round is. */
export interface Pulse {
  type: "pulse";
}

/** A round with its proposal at a risk. */
export interface Round {
  round: string;
  risk?: number;
  proposal?: string | null;
  type: "round";
}

/** Runs what is left of a round, or its best again, in the background. */
export interface Run {
  type: "run";
  round: string;
  do?: "run" | "replicate";
  n?: number | null;
  top?: number | null;
  seeds?: number | null;
  workers?: number | null;
  hours?: number | null;
  trials?: number | null;
}

/** Whether the page can run a round, why not, and the command that does it. */
export interface Runnable {
  able: boolean;
  why: string;
  objective: string;
  command: string;
  left: number;
}

/** What the page begins with. */
export interface Start {
  type: "start";
}

/** The rounds at the side. */
export interface Tree {
  type: "tree";
}

/** One trial in full. */
export interface Trial {
  type: "trial";
  round: string;
  number: number;
}

/** Every trial, as bytes. */
export interface Trials {
  round: string;
  risk?: number;
  proposal?: string | null;
  type: "trials";
}

export type Message = Start | Pulse | Tree | Round | Trials | Pair | Epsilon | Preview | Decide | Run | Pause | Front | Choose | Numbers | Trial | Listing | Part | Mark | History | Past | Beside | Figure;
