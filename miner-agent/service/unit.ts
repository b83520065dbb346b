/** The systemd unit of an agent. Pure. */

export interface UnitAsk {
  /** Program and arguments, absolute. */
  command: readonly string[];
  /** Folders the agent writes to. */
  writable: readonly string[];
  /** Seconds that calls may run on at the end. */
  drainSeconds: number;
  system: boolean;
  /** Of a system unit. */
  user: string;
  /** Where `node` and `nvidia-smi` are found. */
  path: string;
}

/** Seconds beyond the drain before systemd kills it: programs end, the last replies are acknowledged. */
const MARGIN_SECONDS = 30;

export function unitText({ command, writable, drainSeconds, system, user, path }: UnitAsk): string {
  return `[Unit]
Description=Ripcord miner
Wants=network-online.target
After=network-online.target
# Tried again for ever, less and less often.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command.map(quoted).join(' ')}
Environment=${quoted(`PATH=${path}`)}
${system ? `User=${user}\n` : ''}Restart=always
RestartSec=2
RestartSteps=6
RestartMaxDelaySec=120
# Refused, or used wrongly: another start would end the same way.
RestartPreventExitStatus=2
# The agent ends its programs itself once their calls have ended.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=${Math.ceil(drainSeconds) + MARGIN_SECONDS}
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${writable.map((folder) => quoted(`-${folder}`)).join(' ')}
PrivateTmp=no
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
LimitNOFILE=65536

[Install]
WantedBy=${system ? 'multi-user.target' : 'default.target'}
`;
}

/** systemd's quoting: specifiers and variables are not meant. */
function quoted(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[A-Za-z0-9@%_+=:,./-]+$/.test(word) ? escaped : `"${escaped}"`;
}
