/*
 * Collecting while the registry serves: the server, its clients, and the collector of docs/protocol.md.
 *
 * One blob B and one manifest m that needs it, two repositories, one or two server processes ("replicas") on one storage.
 * It starts with an empty registry. Two clients ask for B, mount it, upload it and push m, as often and in whatever order
 * they like; another one deletes m; the collector runs again and again. All of it is without end and nothing is counted,
 * so what holds here holds for any number of pushes, deletions, runs and kills. A client that gives up does nothing more,
 * or something else, and so needs no step of its own.
 *
 * Each `atomic` is one access to what is shared, with the private choices beside it. A request begins with its first access
 * and ends with its last: whatever lies before and after touches nothing, so a barrier need not wait for it.
 *
 * -D leaves parts of the protocol out or adds to what it must hold against; variants.py names the combinations and the
 * verdict that each must have, and `make formal` checks them.
 */

/* The parts of the protocol, in the order of its steps. */
#ifndef START_BARRIER
#define START_BARRIER 1         /* 0 */
#endif
#ifndef LINK_REPAIR
#define LINK_REPAIR 1           /* 0, 4, 6 */
#endif
#ifndef JOURNAL
#define JOURNAL 1               /* 1: without it, only links that are there at the moment are unlinked and confirmed */
#endif
#define NO_LINK 0
#define OVER_THE_API 1
#define IN_THE_STORAGE 2
#ifndef UNLINK
#define UNLINK OVER_THE_API     /* 2 */
#endif
#ifndef UNLINK_AGAIN
#define UNLINK_AGAIN 0          /* 2: a second round of DELETE instead of confirming */
#endif
#ifndef UNLINK_BARRIER
#define UNLINK_BARRIER 0        /* 2: left out everywhere, for the protocol holds without it */
#endif
#ifndef CONFIRM_BEFORE
#define CONFIRM_BEFORE 1        /* 2 */
#endif
#ifndef QUARANTINE
#define QUARANTINE 1            /* 3: without it, the data is deleted at once */
#endif
#ifndef EARLY_RESCAN
#define EARLY_RESCAN 1          /* 4 */
#endif
#ifndef LONG_BARRIER
#define LONG_BARRIER 1          /* 5 */
#endif
#ifndef CONFIRM_AFTER
#define CONFIRM_AFTER 1         /* 5 */
#endif
#ifndef RESCAN_BARRIER
#define RESCAN_BARRIER 1        /* 6 */
#endif
#define NOTHING 0
#define REVISIONS 1
#define REVISIONS_AND_LINKS 2
#ifndef RESCAN
#define RESCAN REVISIONS_AND_LINKS      /* 6 */
#endif
#define REQUESTS 0
#define UPLOAD_FOLDERS 1
#ifndef BARRIERS_SEE
#define BARRIERS_SEE REQUESTS   /* a barrier waits for all requests, or for those that an `_uploads` folder betrays */
#endif

/* What it must hold against. */
#ifndef KILLS
#define KILLS 1                 /* the collector may be killed after each of its steps */
#endif
#ifndef REPLICAS
#define REPLICAS 1
#endif
#ifndef TOLD_REPLICAS
#define TOLD_REPLICAS REPLICAS  /* those that the collector knows of */
#endif
#ifndef CACHE
#define CACHE 1                 /* the server's descriptor cache is on */
#endif
#ifndef EVICTION
#define EVICTION 0              /* ... and may forget any entry at any time */
#endif
#ifndef CUTS
#define CUTS 0                  /* a client's request may end after any of its steps: the server is stopped, a disk is full */
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef FINE_STAT
#define FINE_STAT 0             /* the clients' STAT reads its three places in three steps; else in one */
#endif

/* What is judged: a promise that is broken ends the search, so each may be judged alone. */
#ifndef JUDGE_DATA
#define JUDGE_DATA 1
#endif
#ifndef JUDGE_LINKS
#define JUDGE_LINKS 1
#endif

/* The storage. */
bit data;                       /* D: B's data file stands in its folder */
bit quarantined;                /* B's data file stands in the quarantine */
bit link[2];                    /* L[r]: the link of B in repository r */
bit folder[2];                  /* the link's folder: r has or had the link. No request removes a folder */
bit revision[2];                /* M[r]: the link of m in r. It is a client's push that was accepted */
bit journal[2];                 /* our journal: r had or has the link when the run looked */

/* The memory of the server processes. */
bit cache[2 * REPLICAS];
bit known[REPLICAS];            /* GC[p]: replica p says that B exists */
#define cached(p, r) cache[2 * (p) + (r)]       /* RC[p, r]: replica p says that r has B */

/* Requests in the server, as a set of bits: 0 and 1 are the clients', 2 and 3 the collector's. */
byte in_flight, awaited;

inline is_in_flight(who) { in_flight = in_flight | (1 << who) }
inline has_ended(who) { in_flight = in_flight & ~(1 << who); awaited = awaited & ~(1 << who) }

#if BARRIERS_SEE == REQUESTS
#define begins(who) is_in_flight(who)
#define ends(who) has_ended(who)
#else
#define begins(who) skip
#define ends(who) skip
#endif

/* Every request that is in the server now has ended. In an `atomic`: the others go on while this waits. */
inline barrier() { awaited = in_flight; awaited == 0 }


/* ---- Clients ---- */

inline or_cut_off() { if :: true :: CUTS -> ends(me); p = 0; r = 0; goto idle fi }

/*
 * HEAD, MOUNT and PUT manifest all begin with STAT of B in a repository, MOUNT in the one that it mounts from. What a
 * request does not depend on yet is chosen when it does: it is the same request, and there are fewer states on the way.
 */
proctype Client(bit me) {
    bit r, p;

idle:
    atomic {
        if :: goto upload :: true fi;
        if :: p = 0 :: REPLICAS == 2 -> p = 1 fi;
        if :: r = 0 :: r = 1 fi;
        if
        :: cached(p, r) -> begins(me); p = 0; goto found
        :: else
        fi;
#if FINE_STAT
        begins(me)
    };
    atomic { if :: link[r] :: else -> ends(me); p = 0; r = 0; goto idle fi };
    atomic { if :: known[p] || data -> known[p] = CACHE; or_cut_off() :: else -> ends(me); p = 0; r = 0; goto idle fi };
#else
        if
        :: link[r] && (known[p] || data) -> begins(me); known[p] = CACHE; or_cut_off()
        :: else -> p = 0; r = 0; goto idle
        fi
    };
#endif
    /* What it found is cached a moment later: a DELETE in between leaves a stale yes. */
    atomic { cached(p, r) = CACHE; p = 0 };

found:
    atomic {
        if
        :: /* HEAD */ true
        :: /* MOUNT */ link[1 - r] = 1; folder[1 - r] = 1
        :: /* PUT */ revision[r] = 1
        fi;
        ends(me); r = 0; goto idle
    };

upload:
#if BARRIERS_SEE == UPLOAD_FOLDERS
    atomic { is_in_flight(me) };
#endif
    atomic { begins(me); data = 1; or_cut_off() };                      /* u1: kept where it exists */
    atomic {
        if :: r = 0 :: r = 1 fi;
        link[r] = 1; folder[r] = 1; or_cut_off()                        /* u2 */
    };
#if BARRIERS_SEE == UPLOAD_FOLDERS
    atomic { has_ended(me) };                                           /* u3 */
#endif
    atomic {
        if :: p = 0 :: REPLICAS == 2 -> p = 1 fi;
        cached(p, r) = CACHE; known[p] = CACHE;                         /* u4 */
        ends(me); p = 0; r = 0; goto idle
    }
}

/* DELETE manifest. */
proctype Deleter() {
end:
    do
    :: atomic { revision[0] -> revision[0] = 0 }
    :: atomic { revision[1] -> revision[1] = 0 }
    od
}

#if EVICTION
proctype Evictor() {
end:
    do
    :: atomic { cache[0] -> cache[0] = 0 }
    :: atomic { cache[1] -> cache[1] = 0 }
    :: atomic { known[0] -> known[0] = 0 }
#if REPLICAS == 2
    :: atomic { cache[2] -> cache[2] = 0 }
    :: atomic { cache[3] -> cache[3] = 0 }
    :: atomic { known[1] -> known[1] = 0 }
#endif
    od
}
#endif


/* ---- HEAD and DELETE of B, sent by the collector ---- */

/* A killed collector's request goes on in the server, so without a start barrier there may be one beside the next run's. */
#define HANDLERS (2 - START_BARRIER)
typedef Request { bit open, delete, r, p, yes };
Request request[HANDLERS];

#define FOR_HEAD 0
#define FOR_DELETE 1
inline ask(for_what) {
    is_in_flight(2 + h);
    request[h].delete = for_what; request[h].r = pair % 2; request[h].p = pair / 2; request[h].open = 1;
    or_killed()
}

inline answer(found) {
    has_ended(2 + h);
    request[h].open = 0; request[h].delete = 0; request[h].r = 0; request[h].p = 0; request[h].yes = found;
    r = 0; p = 0;
    goto end
}

#define answered !request[h].open
inline heard() { request[h].yes = 0 }

proctype Handler(bit h) {
    bit r, p;

end:
    atomic {
        request[h].open -> r = request[h].r; p = request[h].p;
        if :: cached(p, r) -> goto found :: else fi
    };
    atomic { if :: link[r] :: else -> answer(0) fi };
    atomic { if :: known[p] || data -> known[p] = CACHE :: else -> answer(0) fi };
    atomic { cached(p, r) = CACHE; if :: request[h].delete :: else -> answer(1) fi };
found:
    atomic { if :: request[h].delete -> cached(p, r) = 0 :: else -> answer(1) fi };
    atomic { link[r] = 0; answer(1) }
}


/* ---- The collector ---- */

/* Killed: it does nothing more, and a new one begins at step 0. */
inline or_killed() { if :: true :: KILLS -> pair = 0; dirty = 0; goto start fi }

/* The pairs of repository and replica, numbered r + 2p, that are unlinked and confirmed. */
#define PAIRS (2 * TOLD_REPLICAS)
#if JOURNAL
#define listed journal[pair % 2]
#else
#define listed link[pair % 2]
#endif
inline first_pair() { pair = 0; do :: pair < PAIRS && !listed -> pair++ :: else -> break od }
inline next_pair() { pair++; do :: pair < PAIRS && !listed -> pair++ :: else -> break od }

#define UNLINK_EVERY_PAIR                                                                   \
    do                                                                                      \
    :: atomic { pair < PAIRS -> ask(FOR_DELETE) };                                          \
       atomic { answered -> heard(); next_pair() }                                          \
    :: atomic { pair == PAIRS -> first_pair(); break }                                      \
    od

/* HEAD every pair. 404: good. 200 and the link is there: in use again. 200 without it: a stale yes, which DELETE clears. */
#define CONFIRM_EVERY_PAIR(in_use)                                                          \
    do                                                                                      \
    :: atomic { pair < PAIRS -> ask(FOR_HEAD) };                                            \
       if                                                                                   \
       :: atomic { answered && !request[h].yes -> next_pair() }                             \
       :: atomic { answered && request[h].yes && link[pair % 2] ->                          \
                   heard(); pair = 0; dirty = 0; goto in_use }                              \
       :: atomic { answered && request[h].yes && !link[pair % 2] ->                         \
                   heard(); dirty = 1; ask(FOR_DELETE) };                                   \
          atomic { answered -> heard(); next_pair() }                                       \
       fi                                                                                   \
    :: atomic { pair == PAIRS -> pair = 0; break }                                          \
    od

inline repair(r) {
#if LINK_REPAIR
    if :: revision[r] && data && !link[r] && folder[r] -> link[r] = 1; or_killed() :: else fi
#else
    skip
#endif
}

proctype Collector() {
    bit h, dirty; byte pair;

start:
    /* Step 0: start barrier, link repair; what is in the quarantine is re-examined from step 5 on. */
    atomic {
#if START_BARRIER
        barrier();
#else
        if :: !request[0].open -> h = 0 :: !request[1].open -> h = 1 fi;
#endif
        heard(); repair(0)
    };
    atomic { repair(1); if :: quarantined -> goto long_barrier :: else fi };

    /* Step 1: scan, and journal who has or had the link. */
    atomic { if :: data && !revision[0] -> journal[0] = folder[0] :: else -> goto start fi };
    atomic { if :: !revision[1] -> journal[1] = folder[1]; first_pair() :: else -> goto start fi };

    /* Step 2: unlink, then confirm. How often it confirms again before it gives B up is left open. */
#if UNLINK == OVER_THE_API
    UNLINK_EVERY_PAIR;
#if UNLINK_BARRIER
    atomic { barrier() };
#endif
#if UNLINK_AGAIN
    UNLINK_EVERY_PAIR;
    atomic { barrier() };
#endif
#elif UNLINK == IN_THE_STORAGE
    atomic { link[0] = 0; or_killed() };
    atomic { link[1] = 0; or_killed() };
#endif
#if CONFIRM_BEFORE
confirm_before:
    CONFIRM_EVERY_PAIR(start);
    if
    :: atomic { dirty -> barrier(); dirty = 0; first_pair(); goto confirm_before }
    :: atomic { dirty -> dirty = 0; goto start }
    :: atomic { !dirty -> skip }
    fi;
#endif

    /* Step 3: quarantine. */
    atomic { data = 0; quarantined = QUARANTINE; pair = 0; or_killed() };
#if !QUARANTINE
    goto start;
#endif

    /* Step 4: an early look at any one place; it may restore. */
#if EARLY_RESCAN
    if
    :: atomic { revision[0] || revision[1] || link[0] || link[1] -> goto needed }
    :: true
    fi;
#endif

    /* Step 5: long barrier, confirm again. */
long_barrier:
    atomic {
#if LONG_BARRIER
        barrier();
#endif
        first_pair()
    };
#if CONFIRM_AFTER
confirm_after:
    CONFIRM_EVERY_PAIR(rescan);
    if
    :: atomic { dirty -> barrier(); dirty = 0; first_pair(); goto confirm_after }
    :: atomic { dirty -> dirty = 0; goto start }
    :: atomic { !dirty -> skip }
    fi;
#endif
    pair = 0;

    /* Step 6: barrier, re-scan. */
#if RESCAN_BARRIER
    atomic { barrier() };
#endif
rescan:
#if RESCAN >= REVISIONS
    atomic { if :: revision[0] -> goto needed :: else fi };
    atomic { if :: revision[1] -> goto needed :: else fi };
#endif
#if RESCAN >= REVISIONS_AND_LINKS
    atomic { if :: link[0] -> goto needed :: else fi };
    atomic { if :: link[1] -> goto needed :: else fi };
#endif

    /* Step 7: purge. */
    atomic { quarantined = 0; goto start };

    /* Still step 6: rename back, or drop the copy where B was uploaded anew; then link repair. */
needed:
    atomic { if :: quarantined && !data -> data = 1 :: else fi; quarantined = 0; or_killed() };
    atomic { repair(0) };
    atomic { repair(1); goto start }
}


/* ---- What must hold, in every state ---- */

bit data_is_kept = 1;
bit link_is_kept = 1;
#define accepted (revision[0] || revision[1])
/* A missing link is made good by the next run's repair, where there is one. Judged when no request is on its way. */
#define lacks_link(r) (revision[r] && !link[r] && !(LINK_REPAIR && folder[r]))

proctype Auditor() {
end:
    if
    :: atomic { JUDGE_DATA && accepted && !data && !quarantined -> data_is_kept = 0; assert(data_is_kept) }
    :: atomic { JUDGE_LINKS && in_flight == 0 && (lacks_link(0) || lacks_link(1)) -> link_is_kept = 0; assert(link_is_kept) }
    fi
}

init {
    atomic {
        run Client(0);
#if CLIENTS == 2
        run Client(1);
#endif
        run Deleter();
#if EVICTION
        run Evictor();
#endif
        run Handler(0);
#if HANDLERS == 2
        run Handler(1);
#endif
        run Collector();
        run Auditor()
    }
}
