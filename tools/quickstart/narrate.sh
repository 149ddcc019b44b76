# How the story speaks and judges: sourced by tools/quickstart/story. Every command is shown as it is
# run, its output stands indented below it, and each claim is checked: the first that fails ends the
# story. $work is the story's directory.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi
checks=0
child=
status=0

step() {
  printf '\n%s%s. %s%s\n' "$bold" "$1" "$2" "$plain"
}
explain() {
  local line
  for line; do printf '%s\n' "${line:+   $line}"; done
}
ok() {
  checks=$((checks + 1))
  printf '   %sok%s: %s\n' "$green" "$plain" "$*"
}
fail() {
  printf '   %sFAILED%s: %s\n' "$red" "$plain" "$*"
  trap - ERR
  exit 1
}

# The words of a command as one would type them.
show() {
  local word text=
  for word; do
    if [[ $word == '&' || $word =~ ^[A-Za-z0-9_./:,=@+%-]+$ ]]; then
      text+=" $word"
    else
      text+=" '${word//\'/\'\\\'\'}'"
    fi
  done
  printf '   %s$%s%s\n' "$bold" "$text" "$plain"
}
# The output of the last command, indented; with many lines only the first and last ones.
tell() {
  local lines
  lines=$(wc -l <"$work/out")
  if [ "$lines" -gt 16 ]; then
    sed -n '1,8s/^/     /p' "$work/out"
    printf '     %s... %s lines more ...%s\n' "$dim" "$((lines - 12))" "$plain"
    tail -n 4 "$work/out" | sed 's/^/     /'
  else
    sed 's/^/     /' "$work/out"
  fi
}

# quiet CMD...: runs it in the background and waits, so that a signal is answered at once; $status and
# $work/out have what came of it.
quiet() {
  "$@" >"$work/out" 2>&1 </dev/null &
  child=$!
  status=0
  wait "$child" || status=$?
  child=
}
run() {
  show "$@"
  quiet "$@"
  tell
}
must() {
  run "$@"
  [ "$status" = 0 ] || fail "exit code $status"
}
# Several commands of which only the failures are worth reading.
must_quietly() {
  show "$@"
  quiet "$@"
  [ "$status" = 0 ] || { tell; fail "exit code $status"; }
}
# refused REASON-TEXT CMD...: must fail, say TEXT, and hint what to do.
refused() {
  local text=$1
  shift
  run "$@"
  [ "$status" != 0 ] || fail "it was accepted"
  grep -qi -- "$text" "$work/out" || fail "it does not say '$text'"
  grep -q '^hint: ' "$work/out" || fail "there is no hint"
  ok "refused, exit code $status, with the reason and a hint"
}
said() {
  grep -qE -- "$1" "$work/out" || fail "the output lacks '$1'"
}
# until_true SECONDS CMD...: waits until the command succeeds.
until_true() {
  local tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    [ $((tries--)) -gt 0 ] || return 1
    sleep 0.05 &
    wait $!
  done
}
# end_process PID: SIGTERM, SIGKILL after ten seconds, and until it is gone. No `wait`: bash can wait for
# ever for a child whose end came while a trap interrupted another wait.
end_process() {
  kill "$1" 2>/dev/null || return 0
  local tries=200
  while [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; do
    [ $((tries--)) -gt 0 ] || kill -KILL "$1" 2>/dev/null || true
    sleep 0.05
  done
}
same() {
  [ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
  ok "$1 is $2"
}
