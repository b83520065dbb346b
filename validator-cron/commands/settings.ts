/** The settings of a judge on this machine: the names of wrangler.toml, out of the environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { usage } from '../../cli/failure.ts';
import { readConfig, type JudgeConfig } from '../config.ts';

const NAMES = [
  'API_ORIGIN',
  'JUDGE_SEED',
  'API_KEY',
  'EPOCH_SECONDS',
  'NETWORK',
  'NETUID',
  'BEACON_URLS',
  'BEACON_CHAIN',
  'CHAIN_URL',
  'CHAIN_ARCHIVE_URL',
  'CHAIN_GENESIS',
] as const;

export interface Settings {
  config: JudgeConfig;
  /** As the Worker binds them; secrets are among them. */
  vars: Record<string, string>;
  dataFolder: string;
}

/** Throws `Failure` (`usage`) with the name of what is wrong, and nothing of its value. */
export function readSettings(env: Record<string, string | undefined>, data?: string): Settings {
  const vars = Object.fromEntries(NAMES.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  try {
    const config = readConfig({ API_ORIGIN: '', JUDGE_SEED: '', ...vars });
    return { config, vars, dataFolder: data ?? join(homedir(), '.ripcord', 'validator') };
  } catch (error) {
    throw usage('usage', `${error instanceof Error ? error.message : 'a setting is wrong'}.`, {
      hint: 'Set it in the environment; ripcord-validator --help names all of them.',
    });
  }
}

/** Which addresses the Worker may fetch, as workerd names them: this machine or its network only where a setting says so. */
export function reachOf(vars: Record<string, string>): ('local' | 'private' | 'public')[] {
  const urls = ['API_ORIGIN', 'BEACON_URLS', 'CHAIN_URL', 'CHAIN_ARCHIVE_URL'].flatMap((name) => (vars[name] ?? '').split(','));
  const hosts = urls.flatMap((url) => URL.parse(url.trim())?.hostname ?? []);
  return [
    'public',
    // The Worker calls itself on the loopback.
    'local',
    ...(hosts.some((host) => /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(host)) ? ['private' as const] : []),
  ];
}
