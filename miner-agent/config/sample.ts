/** The miner.toml that `init` writes: every field with what it is for; those at their default are commented out. Pure. */

export interface Found {
  api: string | null;
  /** As it is to stand in the file. */
  hotkey: string | null;
  name: string;
  engineSocket: string | null;
  /** What was found, one line each, for the head of the file. */
  summary: readonly string[];
}

export function sampleConfig(found: Found): string {
  const on = (field: string, value: string | null, instead: string) =>
    value === null ? `# ${field} = ${JSON.stringify(instead)}` : `${field} = ${JSON.stringify(value)}`;
  return `# Ripcord miner. ripcord-miner up reads this file from ~/.ripcord/miner.toml, or from where --config says.
# A line that is commented out shows the default, or an example where there is none. Flags go above what stands here.
${found.summary.map((line) => `#   ${line}\n`).join('')}
# The edge to serve.
${on('api', found.api, 'https://edge.example')}

# The hotkey that earns. The file is read, never copied or sent.
${on('hotkey', found.hotkey, '~/.bittensor/wallets/default/hotkeys/default')}

# This machine among those of the hotkey: each needs a name of its own.
name = ${JSON.stringify(found.name)}

# Where programs, code and the control socket lie.
# data = "~/.ripcord/miner/${found.name}"

# Where this machine is, shown to callers.
# region = "eu-west"

# HTTP proxy that leads out, for every request and for the connection to the edge.
# proxy = "http://proxy.local:3128"

# ── How much ────────────────────────────────────────────────────────────────────────────────────────────────────

# Instances at a time.
# max_instances = 4

# MiB of RAM one program may have; 0: no limit.
# memory_mb = 0

# Seconds that calls may run on when the agent is told to end.
# drain_seconds = 30

# True: take no new work. ripcord-miner maintenance on does the same without an edit.
# maintenance = false

# ── What ────────────────────────────────────────────────────────────────────────────────────────────────────────

# Chutes to prefer, and chutes never to run. ripcord-miner pin and forbid add to them while the agent runs.
# pin = ["demo/chat"]
# forbid = ["someone/else"]

# What power costs, in USD per kilowatt-hour, and what an instance must bring per hour beyond it.
# usd_per_kwh = 0.0
# min_usd_per_hour = 0.0

# ── Containers ──────────────────────────────────────────────────────────────────────────────────────────────────

# Unix socket of Docker or Podman; without it the usual places are tried. Podman needs no root.
${on('engine_socket', found.engineSocket, '/run/docker.sock')}

# OCI runtime that containers run under, as the engine knows it; gVisor is "runsc".
# runtime = "runsc"

# Models that containers keep between starts.
# cache = "~/.ripcord/miner/${found.name}/cache"

# Where models lie that chutes name as [weights]; an instance of such a chute starts only where they are.
# weights = "/srv/models"

# Hosts that no container may connect to, whatever its chute says.
# forbid_hosts = ["*.example.com"]

# ── Without containers ──────────────────────────────────────────────────────────────────────────────────────────

# A chute with a command is a program that would run with your rights. Nobody's does unless you say whose.
[allow]
# accounts = ["demo"]
# code = ["<sha256 of a code folder>"]
# all = false

# An engine that you started yourself (vLLM, llama.cpp, Ollama, …) serves a chute:
# [[engines]]
# chute = "owner/name"
# url = "http://127.0.0.1:8000"
# slots = 8
`;
}
