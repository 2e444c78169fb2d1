using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// Everything that one request or one alarm changes. It is collected under the chain's lock, sealed once (alarms and clock holds,
/// one transition to the store), and published after the transition is durable: only then are tasks offered, waiters answered
/// and other runs touched.
/// </summary>
internal sealed class UnitOfWork(EngineHost engine, WorkflowChain chain, DateTimeOffset now)
{
    private readonly List<Run> touched = [];
    private readonly List<RunKey> deleted = [];
    private readonly List<TaskOffer> offers = [];
    private readonly List<Action> published = [];
    private Run? rung;
    private bool isUrgent;
    private VirtualClock.Alarm? news;

    public EngineHost Engine { get; } = engine;

    public WorkflowChain Chain { get; } = chain;

    /// <summary>The virtual time at which all of this happens.</summary>
    public DateTimeOffset Now { get; } = now;

    /// <summary>An error that the caller gets although the work stands, for example after a workflow task was failed.</summary>
    public Fault? Refusal { get; private set; }

    /// <summary>A poll waits for this, and its worker has perhaps no other: whatever is behind it waits, too.</summary>
    public void Hurry() => isUrgent = true;

    public void Refuse(Fault fault) => Refusal = fault;

    public void Touch(Run run)
    {
        if (!touched.Contains(run))
        {
            touched.Add(run);
        }
    }

    /// <summary>The run's alarm has rung: it is set again, also when the run did not change.</summary>
    public void Rung(Run run) => rung = run;

    public void Delete(Run run)
    {
        touched.Remove(run);
        deleted.Add(run.Key);
        AfterCommit(() => Engine.Visibility.Remove(run.Key.Namespace, run.RunId));
    }

    public void Offer(TaskOffer offer) => offers.Add(offer);

    public void AfterCommit(Action action) => published.Add(action);

    /// <summary>The same for what others act upon: time does not skip until they have been told.</summary>
    public void AnnounceAfterCommit(Action action)
    {
        if (Engine.Clock.CanSkip)
        {
            news ??= Engine.Clock.CreateAlarm($"news of {Chain.WorkflowId}", () => { });
        }

        AfterCommit(action);
    }

    /// <summary>Called once, under the chain's lock. The returned task completes when the work is durable.</summary>
    public Task Seal()
    {
        // Late news for a run that was deleted meanwhile must not bring it back.
        touched.RemoveAll(run => !Chain.Runs.ContainsKey(run.RunId));
        HandOut();
        if (rung is not null && !touched.Contains(rung))
        {
            Engine.Clock.Update(rung.Alarm, rung.NextDue(), rung.Holds);
        }

        if (touched.Count == 0 && deleted.Count == 0)
        {
            return Chain.LastCommit;
        }

        var alarms = new (VirtualClock.Alarm, DateTimeOffset?, int)[touched.Count + (news is null ? 0 : 1)];
        for (var i = 0; i < touched.Count; i++)
        {
            var run = touched[i];
            run.CountTransition();
            alarms[i] = (run.Alarm, run.NextDue(), run.Holds);
        }

        if (news is not null)
        {
            alarms[^1] = (news, null, 1);
        }

        Engine.Clock.Update(alarms);
        foreach (var run in touched)
        {
            if (run.TakeWaiters() is { } waiters)
            {
                AfterCommit(() => waiters.TrySetResult());
            }

            if (run.TakeVisibilityChange())
            {
                var info = run.Info();
                AfterCommit(() => Engine.Visibility.Put(Chain.Namespace, info));
            }
        }

        if (Engine.Commits.IsDurable)
        {
            Chain.LastCommit = Engine.Commits.Enqueue(new Transition([.. touched.Select(r => r.TakeChange())], deleted, []), isUrgent);
        }

        return Chain.LastCommit;
    }

    /// <summary>
    /// A task for which somebody waits already is started in the transition that offers it: one commit for both, and the waiting poll gets it
    /// when that is durable. Any other goes to its queue then.
    /// </summary>
    private void HandOut()
    {
        foreach (var offer in offers)
        {
            if (offer.Kind == TaskKind.Query || !Chain.Runs.ContainsKey(offer.Run.RunId) || !offer.Run.IsWaiting(offer)
                || Engine.Matching.Queue(offer.Queue).Reserve() is not { } poll)
            {
                AfterCommit(() => Engine.Matching.Offer(offer));
                continue;
            }

            try
            {
                var started = poll.Start(this, offer);
                AfterCommit(() => poll.SetResult(new Match(offer, started)));
            }
            catch (Exception e)
            {
                // The poll's caller hears of it, as if the poll had started the task itself.
                AfterCommit(() => poll.SetException(e));
            }
        }
    }

    /// <summary>Called once, after the work is durable and outside every lock.</summary>
    public void Publish()
    {
        try
        {
            foreach (var action in published)
            {
                action();
            }
        }
        finally
        {
            if (news is not null)
            {
                Engine.Clock.Update(news, null, 0);
            }
        }
    }
}
