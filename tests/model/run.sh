#!/usr/bin/env bash
# All proofs (expect 0) and mutations (expect 1), in two lanes for two cores: a line each, then `N passed, N failed`.
#
# usage: tests/model/run.sh          everything, about four minutes
#        tests/model/run.sh quick    a selection of less than a minute
QUICK=" one_crash_succ mut_late_snapshot mut_mail_reset mut_start_unswept mut_no_rescan cancel mut_pin_no_gen mut_unpin_before_eof failed_login fair_bound4 fair_bound3 mut_lease_ignores_queue "
mode=${1:-all}
cd "$(dirname "$(realpath "$0")")" || exit 1; out=$(mktemp -d)
p(){ case $mode in quick) case $QUICK in *" $1 "*) ;; *) return ;; esac ;; esac; TMO=${T:-100} ./one.sh "$1" ${4:-pool.pml} "$2" "${5:--DSAFETY}" "${6:--m300000}" | grep -v incomplete | sed "s/^/expect $3  /"; }
A="-DMAXC=1 -DMAXT=0 -DTODO=1 -DTODO2=0"; B="-DMAXC=1 -DMAXT=0 -DTODO=1 -DTODO2=1 -DNS=1"; C="-DMAXC=0 -DMAXT=1 -DTODO=2"
K="-DMAXC=0 -DMAXT=0 -DTODO=2 -DNS=1 -DMAXK=1"; KC="-DMAXC=1 -DMAXT=0 -DTODO=1 -DTODO2=0 -DNS=1 -DMAXK=1"
D="-DMAXC=2 -DMAXT=0 -DTODO=1 -DTODO2=0 -DNS=1 -DGMASK=1"
(
p two_crashes "$D" 0
p mut_late_snapshot "$D -DMUT_LATE_SNAPSHOT" 1
p mut_mail_reset "$D -DMUT_MAIL_RESET" 1
p one_crash_2slots "$A" 0
p mut_no_pokeall "$A -DMUT_NO_POKEALL" 1
p mut_free_without_eof "$A -DMUT_FREE_WITHOUT_EOF" 1
p mut_dead_to_idle "$A -DMUT_DEAD_TO_IDLE" 1
p mut_duty_is_dialing "$A -DMUT_DUTY_IS_DIALING" 1
p crash+cancel "$KC" 0
p mut_dead_pin_dropped "$KC -DTODO2=1 -DMUT_DEAD_PIN_JUST_DROPPED" 1
p fair_bound4 "-DNW=3 -DBOUND=4" 0 fair.pml "-DSAFETY -DNOCLAIM"
p fair_bound3 "-DNW=3 -DBOUND=3" 1 fair.pml "-DSAFETY -DNOCLAIM"
p mut_lease_ignores_queue "-DNW=3 -DBOUND=12 -DMUT_LEASE_IGNORES_QUEUE" 1 fair.pml "-DSAFETY -DNOCLAIM"
p fair_served_weak_fairness_2w "-DNW=2 -DBOUND=9" 0 fair.pml "-DNFAIR=4" "-m300000 -a -f -N live"
) > "$out/1" 2>&1 &
(
p no_crash_2slots_timeout "$C" 0
p mut_no_rescan "$C -DMUT_NO_RESCAN" 1
p mut_ignore_unwanted "$C -DMUT_IGNORE_UNWANTED" 1
p mut_check_before_return "-DMAXC=0 -DMAXT=0 -DTODO=2 -DNS=1 -DMUT_CHECK_BEFORE_RETURN" 1
p one_crash_succ "$B" 0
p variant_no_recheck "$B -DMUT_NO_RECHECK" 0
p variant_no_recheck_2crashes "$D -DMUT_NO_RECHECK" 0
p mut_no_recheck_and_mail_reset "$B -DMUT_NO_RECHECK -DMUT_MAIL_RESET" 1
p mut_no_rematch "$B -DMUT_NO_REMATCH" 1
p mut_sweep_no_match "$B -DMUT_SWEEP_NO_MATCH" 1
p mut_mon_clears_mask "$B -DMUT_MON_CLEARS_MASK" 1
p mut_start_unswept "$B -DMUT_START_UNSWEPT" 1
p no_gen_is_harmless_without_cancel "$B -DGMASK=0" 0
p crash+timeout "-DMAXC=1 -DMAXT=1 -DTODO=1 -DTODO2=1 -DNS=1" 0
p three_workers "-DNW=3 -DMAXC=0 -DMAXT=1 -DTODO=1 -DNS=1" 0
p no_cycle_at_all "$D -DMAXC=1" 0 pool.pml "-DNP" "-m300000 -l"
p fine_grained "-DFINE $B -DTODO2=0" 0
p cancel "$K" 0
p mut_pin_no_gen "$K -DMUT_PIN_NO_GEN" 1
p mut_lease_pinned "$K -DMUT_LEASE_PINNED" 1
p mut_unpin_before_eof "$K -DMUT_UNPIN_BEFORE_EOF" 1
p mut_unpin_no_match "$K -DMUT_UNPIN_NO_MATCH" 1
p aba_1bit_3leases "$K -DTODO=3 -DGMASK=1" 1
p aba_2bits_3leases "$K -DTODO=3 -DGMASK=3" 0
p failed_login "-DMAXC=0 -DMAXT=0 -DMAXF=1 -DTODO=1 -DNS=2 -DINIT0=FREE" 0
) > "$out/2" 2>&1 &
wait
cat "$out/1" "$out/2" > "$out/all"
awk '{e=$2; match($0,/errors=[0-9]*/); g=substr($0,RSTART+7,RLENGTH-7); print ((e==g)?"ok  ":"BAD ") $0}' "$out/all" | tee "$out/table"
good=$(grep -c '^ok ' "$out/table"); bad=$(grep -vc '^ok ' "$out/table")
[ "$good" -gt 0 ] || bad=$((bad + 1))
echo "$good passed, $bad failed"
rm -rf "$out"
[ "$bad" = 0 ]
