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
trap '' INT TERM HUP QUIT
newline='
'
processes=$newline
folders=$newline

# Is PID still the process that began at START? A zombie is not: it only waits to be reaped.
runs() {
  [ "$2" = - ] && { kill -0 "$1" 2>/dev/null; return; }
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The second field, the name in parentheses, may hold blanks: count from behind it.
  set -- "$2" ${stat##*) }
  [ "$2" != Z ] && [ "$1" = "${21}" ]
}

while IFS= read -r line; do
  rest=${line#* }
  case $line in
    "process "*) processes=$processes$rest$newline ;;
    "ended "*)
      kept=$newline
      while read -r pid start; do
        [ -z "$pid" ] || [ "$pid" = "$rest" ] || kept="$kept$pid $start$newline"
      done <<EOT
$processes
EOT
      processes=$kept
      ;;
    "folder "*) folders=$folders$rest$newline ;;
    "keep "*)
      before=${folders%%"$newline$rest$newline"*}
      [ "$before" = "$folders" ] || folders=$before$newline${folders#*"$newline$rest$newline"}
      ;;
  esac
done

# The signal by -s: dash takes the -- in `kill -KILL -- -1234` for a number, and refuses.
while read -r pid start; do
  [ -n "$pid" ] && runs "$pid" "$start" && kill -s KILL -- "-$pid" 2>/dev/null
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
while IFS= read -r folder; do
  [ -n "$folder" ] && rm -rf -- "$folder"
done <<EOT
$folders
EOT
