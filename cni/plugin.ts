#!/usr/bin/env node
// The executable that container runtimes run: hands environment and standard input to the agent and prints its answer.
//
// It is thin because it is started anew for each call: no package, no configuration of its own. For an agent that may not
// enter the pod's namespace it does there what it is told (pod-half.ts). One JSON object goes to standard output, and
// nothing else ever does. Without an agent, DEL and GC are written down for it and succeed, since a
// runtime may never repeat them; everything else fails at once.
import { rm, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { AgentAway, askAgent } from './client.ts';
import { CniError, asCniError } from './error.ts';
import { decodeConfig } from './config.ts';
import { podHalf } from './pod-half.ts';
import { type Call, type PluginAnswer, type PluginRequest, parseCall, readRequest } from './request.ts';
import { errorResult, versionToAnswerIn, versionsResult } from './result.ts';
import { writeTombstone } from './tombstones.ts';

void main();

async function main(): Promise<void> {
  const command = process.env['CNI_COMMAND'] ?? '';
  let stdin = '';
  let answer: PluginAnswer;
  try {
    stdin = await text(process.stdin);
    answer = command === 'VERSION' ? { exit: 0, print: versionsResult(versionIn(stdin)) } : await relay(stdin);
  } catch (error) {
    const failure = asCniError(error);
    if (failure.code === 999)
      process.stderr.write(`manx: ${failure.cause instanceof Error ? failure.cause.stack : failure.message}\n`);
    answer = { exit: 1, print: errorResult(versionIn(stdin), failure, command) };
  }
  if (answer.print) process.stdout.write(`${JSON.stringify(answer.print)}\n`);
  process.exitCode = answer.exit;
}

async function relay(stdin: string): Promise<PluginAnswer> {
  const request = readRequest(process.env, stdin);
  const call = parseCall(request);
  await refuseOwnNamespace(call);
  try {
    return await askAgent(call.config.socket, request, { carryOut: podHalf(call) });
  } catch (error) {
    if (!(error instanceof AgentAway)) throw error;
    return withoutAgent(call, request, error);
  }
}

function withoutAgent(call: Call, request: PluginRequest, away: AgentAway): Promise<PluginAnswer> {
  if (call.command === 'DEL' || call.command === 'GC') return bury(call, request);
  throw new CniError(call.command === 'STATUS' ? 50 : 11, away.message);
}

/** An agent that started in this very moment may have looked for tombstones before ours was there: so it is asked again. */
async function bury(call: Call, request: PluginRequest): Promise<PluginAnswer> {
  const folder = `${call.config.stateDir}/tombstones`;
  const file = await writeTombstone(folder, request).catch((cause: unknown) => {
    const reason = (cause as Error).message;
    throw new CniError(
      5,
      `no Manx agent answers, and the ${call.command} cannot be kept for it in ${folder}: ${reason}`,
      { cause },
    );
  });
  try {
    const answer = await askAgent(call.config.socket, request, { withinMs: 5_000, carryOut: podHalf(call) });
    if (answer.exit === 0) await rm(file, { force: true });
  } catch (error) {
    if (!(error instanceof AgentAway)) throw error;
  }
  process.stderr.write(`manx: ${call.command} is kept for the agent in ${file}\n`);
  return { exit: 0 };
}

async function refuseOwnNamespace({ command, netns, mayBeOwnNetns }: Call): Promise<void> {
  if ((command !== 'ADD' && command !== 'CHECK') || mayBeOwnNetns) return;
  const [given, own] = await Promise.all([stat(netns).catch(() => undefined), stat('/proc/self/ns/net')]);
  if (given?.ino === own.ino && given.dev === own.dev) {
    throw new CniError(8, `CNI_NETNS ${netns} is the host's own network namespace, not a pod's`);
  }
}

/** For VERSION, whose input may be empty, and for errors, whose input may be anything. */
function versionIn(stdin: string): string {
  try {
    return versionToAnswerIn(decodeConfig(stdin));
  } catch {
    return versionToAnswerIn(undefined); // reported where it matters
  }
}
