/*
 * May the body of a manifest be collected while the registry serves? A smaller model beside collector.pml.
 *
 * One manifest m, two repositories, two clients that push m, one that deletes it, and a collector that takes m's body away
 * once no repository has m: quarantine, barrier, re-scan, purge. No request removes the server's cached descriptor of a
 * manifest's body, so the verdict hangs on whether a push believes it. All of it is without end, as in collector.pml.
 */
#ifndef CACHE
#define CACHE 1             /* the server's descriptor cache is on */
#endif
#ifndef PUSH_BELIEVES_CACHE
#define PUSH_BELIEVES_CACHE 1   /* up to 3.1.1 a push writes no body that the cache knows */
#endif
#ifndef RESTART
#define RESTART 0           /* the collector waits until the server was started after m was seen to be gone */
#endif
#ifndef NOTE
#define NOTE 0              /* ... and until no push of m left its mark since then: storage/bodies.py */
#endif

bit body, quarantined;      /* m's body in its folder, in the quarantine */
bit revision[2];            /* M[r]: an accepted push of m */
bit known;                  /* the server's cache says that m's body exists */
bit pushed;                 /* a push of m has changed the folder of m's link since the collector noted it */
byte in_flight, awaited;

inline begins(who) { in_flight = in_flight | (1 << who) }
inline ends(who) { in_flight = in_flight & ~(1 << who); awaited = awaited & ~(1 << who) }
inline barrier() { awaited = in_flight; awaited == 0 }

/* PUT manifest, from step p2 on. */
proctype Client(bit me) {
    bit r;
end:
    do
    :: atomic {
           if :: r = 0 :: r = 1 fi;
           begins(me);
           if
           :: (PUSH_BELIEVES_CACHE && known) || body -> known = CACHE
           :: else -> body = 1; known = CACHE
           fi
       };
       atomic { revision[r] = 1; pushed = NOTE; r = 0; ends(me) }
    od
}

proctype Deleter() {
end:
    do
    :: atomic { revision[0] -> revision[0] = 0 }
    :: atomic { revision[1] -> revision[1] = 0 }
    od
}

proctype Collector() {
start:
    atomic { if :: body && !revision[0] -> pushed = 0 :: else -> goto start fi };
    atomic { if :: !revision[1] :: else -> goto start fi };
#if RESTART
    /* A server that stops ends its requests; the new one remembers nothing. */
    atomic { barrier(); known = 0 };
    atomic { if :: revision[0] || pushed -> goto start :: else fi };
    atomic { if :: revision[1] || pushed -> goto start :: else fi };
#endif
    atomic { body = 0; quarantined = 1 };
    atomic { barrier() };
    atomic { if :: revision[0] || pushed -> goto needed :: else fi };
    atomic { if :: revision[1] || pushed -> goto needed :: else fi };
    atomic { quarantined = 0; goto start };
needed:
    atomic { if :: !body -> body = 1 :: else fi; quarantined = 0; goto start }
}

bit manifest_is_kept = 1;
proctype Auditor() {
end:
    atomic {
        (revision[0] || revision[1]) && !body && !quarantined -> manifest_is_kept = 0; assert(manifest_is_kept)
    }
}

init { atomic { run Client(0); run Client(1); run Deleter(); run Collector(); run Auditor() } }
