# The guardian: ends what its owner started, once the owner is gone.
#
# It reads lines from a pipe that only the owner holds open. End of file means that the owner
# has ended, however it did. It leads a process group of its own and is deaf to the signals
# that a terminal or a tidy parent sends.
#
#   process PID START   a process group to kill; START is field 22 of /proc/PID/stat, or -
#   ended PID           it has ended, and its number may be another's by now
#   folder PATH         a folder to delete
#   keep PATH           do not delete it after all (or it is gone)
#   only PATH           delete all in it but PATH/diagnostics
#   entry CONTENT PATH  a folder to delete if PATH/lock has this content: others take its name
#   container NAME      what the container engine keeps, to be removed
#   network NAME
#   image NAME
#   command LINE        a shell's command to run
#   gone KIND NAME      it has been removed
trap '' INT TERM HUP QUIT
newline='
'
processes=$newline
folders=$newline
pruned=$newline
kept=$newline
entries=$newline

# What /proc says of PID: its state, and when it began. Nothing if there is no such process.
look() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return
  # The second field, the name in parentheses, may hold blanks: count from behind it.
  set -- ${stat##*) }
  echo "$1 ${20}"
}

# Is PID still the process that began at START? A zombie is not: it only waits to be reaped.
runs() {
  [ "$2" = - ] && { kill -0 "$1" 2>/dev/null; return; }
  case $(look "$1") in
    "Z "*) return 1 ;;
    *" $2") return 0 ;;
    *) return 1 ;;
  esac
}

# Is PID another process than the one that began at START?
reused() {
  [ "$2" = - ] && return 1
  case $(look "$1") in
    "" | *" $2") return 1 ;;
    *) return 0 ;;
  esac
}

while IFS= read -r line; do
  rest=${line#* }
  case $line in
    "process "*) processes=$processes$rest$newline ;;
    "ended "*)
      others=$newline
      while read -r pid start; do
        [ -z "$pid" ] || [ "$pid" = "$rest" ] || others="$others$pid $start$newline"
      done <<EOT
$processes
EOT
      processes=$others
      ;;
    "folder "*) folders=$folders$rest$newline ;;
    "keep "* | "only "*)
      before=${folders%%"$newline$rest$newline"*}
      [ "$before" = "$folders" ] || folders=$before$newline${folders#*"$newline$rest$newline"}
      before=${pruned%%"$newline$rest$newline"*}
      [ "$before" = "$pruned" ] || pruned=$before$newline${pruned#*"$newline$rest$newline"}
      [ "$line" = "keep $rest" ] || pruned=$pruned$rest$newline
      ;;
    "entry "*) entries=$entries$rest$newline ;;
    "container "* | "network "* | "image "* | "command "*) kept=$kept$line$newline ;;
    "gone "*)
      before=${kept%%"$newline$rest$newline"*}
      [ "$before" = "$kept" ] || kept=$before$newline${kept#*"$newline$rest$newline"}
      ;;
  esac
done

# A group outlives its leader. It is not killed only if its number is another process's by now.
# The signal by -s: dash takes the -- in `kill -KILL -- -1234` for a number, and refuses.
while read -r pid start; do
  [ -n "$pid" ] && ! reused "$pid" "$start" && kill -s KILL -- "-$pid" 2>/dev/null
done <<EOT
$processes
EOT
# A folder goes only when nobody writes to it any more; ten seconds is for a busy machine.
while read -r pid start; do
  tries=0
  while [ -n "$pid" ] && [ "$tries" -lt 200 ] && runs "$pid" "$start"; do
    sleep 0.05
    tries=$((tries + 1))
  done
done <<EOT
$processes
EOT
# Runs a command for at most a minute, and fails when it was cut off: an engine that hangs must not
# keep the folders, which hold keys. There is no timeout in POSIX.
bounded() {
  "$@" &
  command=$!
  { sleep 60; kill -s KILL "$command"; } &
  watch=$!
  wait "$command"
  ended=$?
  kill -s KILL "$watch"
  return "$ended"
}
# Containers first: a network goes when nothing is attached to it, and so does an image's name. What
# the engine refuses is no failure: it may be gone already.
remove() {
  for kind in container network image command; do
    while read -r its name; do
      case $kind$its in
        containercontainer) docker rm --force --volumes -- "$name" ;;
        networknetwork) docker network rm -- "$name" ;;
        imageimage) docker image rm -- "$name" ;;
        commandcommand) sh -c "$name" </dev/null ;;
      esac
    done <<EOT
$kept
EOT
  done
  return 0
}
# The engine may be about to make what a killed client asked for, and a node that comes late would
# make anew the folders that it mounts: so all is looked for three times, in four seconds; and no
# more once it took a minute, for the engine hangs then.
if [ "$kept" != "$newline" ]; then
  for pause in 0 2 2; do
    sleep "$pause"
    bounded remove >/dev/null 2>&1 || break
  done
fi
while IFS= read -r folder; do
  for entry in "$folder"/* "$folder"/.[!.]*; do
    [ -z "$folder" ] || [ "$entry" = "$folder/diagnostics" ] || rm -rf -- "$entry"
  done
done <<EOT
$pruned
EOT
# Someone whom the guardian does not know may write there still, for a moment.
while IFS= read -r folder; do
  tries=0
  while [ -n "$folder" ] && [ "$tries" -lt 200 ] && [ -e "$folder" ]; do
    rm -rf -- "$folder" || sleep 0.05
    tries=$((tries + 1))
  done
done <<EOT
$folders
EOT
# Moved away first, in one step: who takes the name then has a folder of its own.
while read -r content path; do
  if [ -n "$path" ] && IFS= read -r found <"$path/lock" && [ "$found" = "$content" ]; then
    mv -- "$path" "${path%/*}/.$content" && rm -rf -- "${path%/*}/.$content"
  fi
done <<EOT
$entries
EOT
# What is left of the bounds: a sleep, and a docker that hangs. This shell leads their group.
[ "$kept" = "$newline" ] || kill -s KILL 0
