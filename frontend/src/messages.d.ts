// Made from refine/ui/web/messages.py by `make page`; not to be edited.

export interface Edit { bounds?: Array<number>; keep?: Array<number>; as?: "started" | "suggested"; of?: string; text?: string }
export interface Filter { low?: number; high?: number; is?: string; holds?: string }
export interface BeliefForm { near?: number; within_factor?: number; within?: number; weights?: Array<number | null> }
export interface Job { round: string; running: boolean; pausing: boolean; text: string; log: string }
export interface Runnable { able: boolean; why: string; objective: string; command: string; left: number }
export interface FrontPoint { label: number; values: Array<number>; text: string; configuration: string; chosen: boolean }
export interface FrontGoal { name: string; direction: "maximize" | "minimize" }
export interface FrontAnswer { goals: Array<FrontGoal>; points: Array<FrontPoint>; others: Array<Array<number>>; infeasible: Array<Array<number>>; about: string }

export type Message =
  | { type: "start" }
  | { type: "pulse" }
  | { type: "tree" }
  | { type: "round"; round: string; risk?: number; proposal?: string | null }
  | { type: "trials"; round: string; risk?: number; proposal?: string | null }
  | { type: "numbers"; round: string; risk?: number; proposal?: string | null }
  | { type: "pair"; round: string; risk?: number; proposal?: string | null; a: string; b: string }
  | { type: "figure"; round: string; risk?: number; proposal?: string | null; name: string; about?: string; dark?: boolean }
  | { type: "epsilon"; round: string; risk?: number; proposal?: string | null; value: number | null }
  | { type: "preview"; round: string; risk?: number; proposal?: string | null; edits?: Record<string, Edit>; rejected?: Array<string>; n?: number | null; sized?: boolean; note?: string | null; exploit?: number | null; audit?: number | null; belief?: Record<string, BeliefForm> | null; pruner?: boolean; workers?: number | null; hours?: number | null; trials?: number | null }
  | { type: "decide"; round: string; risk?: number; proposal?: string | null; edits?: Record<string, Edit>; rejected?: Array<string>; n?: number | null; sized?: boolean; note?: string | null; exploit?: number | null; audit?: number | null; belief?: Record<string, BeliefForm> | null; pruner?: boolean; workers?: number | null; hours?: number | null; trials?: number | null; kind: "accept" | "decline" }
  | { type: "list"; round: string }
  | { type: "part"; round: string; by?: string; descending?: boolean; filters?: Record<string, Filter>; offset?: number }
  | { type: "trial"; round: string; number: number }
  | { type: "mark"; round: string; number: number; key: string; do: "star" | "unstar" | "note" | "exclude" | "include"; text?: string }
  | { type: "history"; round: string }
  | { type: "past"; round: string }
  | { type: "beside"; round: string; other?: string }
  | { type: "run"; round: string; do?: "run" | "replicate"; n?: number | null; top?: number | null; seeds?: number | null; workers?: number | null; hours?: number | null; trials?: number | null }
  | { type: "pause" }
  | { type: "front"; round: string }
  | { type: "choose"; round: string; point: number; note?: string };
