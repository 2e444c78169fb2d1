using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using SnapshotFlow.TemporalDev.Matching;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// Holds all runs and is the only way to change one: <see cref="TransitAsync{T}"/> runs a transition under the lock of its
/// workflow id, seals it, waits until it is durable and publishes what it leads to.
/// </summary>
internal sealed partial class EngineHost : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(string Namespace, string WorkflowId), WorkflowChain> chains = new();
    private readonly BackgroundWork background;
    private readonly ILogger logger;
    private readonly IStore store;
    private long taskId;

    public EngineHost(EngineOptions options, VirtualClock clock, TimeProvider realTime, IStore store, CommitQueue commits, ILogger<EngineHost> logger)
    {
        Options = options;
        Clock = clock;
        RealTime = realTime;
        Commits = commits;
        this.store = store;
        this.logger = logger;
        background = new BackgroundWork(logger);
        Matching = new MatchingService(realTime);
        Namespaces = new NamespaceRegistry(commits);
        SearchAttributes = new SearchAttributeRegistry(commits);
        Visibility = new VisibilityIndex(SearchAttributes);
    }

    public EngineOptions Options { get; }

    public VirtualClock Clock { get; }

    public TimeProvider RealTime { get; }

    public CommitQueue Commits { get; }

    public MatchingService Matching { get; }

    public NamespaceRegistry Namespaces { get; }

    public SearchAttributeRegistry SearchAttributes { get; }

    public VisibilityIndex Visibility { get; }

    /// <summary>Raised after a run's close is durable.</summary>
    public event Action<ClosedRun>? RunClosed;

    public IEnumerable<WorkflowChain> Chains => chains.Values;

    /// <summary>Cancelled when the server stops: whoever waits for something answers with what there is.</summary>
    public CancellationToken Stopping => stopping.Token;

    /// <summary>Ends every long poll and every wait for history or updates.</summary>
    public void EndWaits()
    {
        stopping.Cancel();
        Matching.Dispose();
    }

    public long NextTaskId() => Interlocked.Increment(ref taskId);

    public void Announce(ClosedRun closed) => RunClosed?.Invoke(closed);

    public void InBackground(Func<Task> work) => background.Start(work);

    /// <summary>Runs a transition and returns its result once it is durable. A refusal is thrown then, too.</summary>
    public async Task<T> TransitAsync<T>(WorkflowChain chain, Func<UnitOfWork, T> transition)
    {
        UnitOfWork work;
        Task durable;
        T result = default!;
        Exception? error = null;
        lock (chain.Gate)
        {
            work = new UnitOfWork(this, chain, Clock.GetUtcNow());
            try
            {
                result = transition(work);
            }
            catch (Exception e)
            {
                // What was appended before stands: memory, data and what others have seen never differ.
                error = e;
            }

            durable = work.Seal();
        }

        await durable;
        work.Publish();
        if (error is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        }

        return work.Refusal is { } refusal ? throw refusal : result;
    }

    /// <summary>The same for one run, whose history may have left memory since it was found.</summary>
    public async Task<T> TransitAsync<T>(Run run, Func<UnitOfWork, T> transition)
    {
        while (true)
        {
            var (done, result) = await TransitAsync(run.Chain, work => run.IsLoaded ? (true, transition(work)) : (false, default(T)!));
            if (done)
            {
                return result;
            }

            await LoadAsync(run);
        }
    }

    public Task TransitAsync(Run run, Action<UnitOfWork> transition) => TransitAsync(run, work =>
    {
        transition(work);
        return true;
    });

    public Task TransitAsync(WorkflowChain chain, Action<UnitOfWork> transition) => TransitAsync(chain, work =>
    {
        transition(work);
        return true;
    });

    public WorkflowChain Chain(string @namespace, string workflowId) =>
        chains.GetOrAdd((@namespace, workflowId), static key => new WorkflowChain(key.Namespace, key.WorkflowId));

    /// <summary>The run of that id, or the current one when the id is empty, with its history in memory.</summary>
    public async Task<Run> FindAsync(string @namespace, WorkflowExecution? execution)
    {
        if (string.IsNullOrEmpty(execution?.WorkflowId))
        {
            throw Fault.Invalid("WorkflowId is not set on request.");
        }

        if (execution.RunId.Length > 0 && !Guid.TryParse(execution.RunId, out _))
        {
            throw Fault.Invalid("Invalid RunId.");
        }

        return await FindAsync(@namespace, execution.WorkflowId, execution.RunId);
    }

    public async Task<Run> FindAsync(string @namespace, string workflowId, string runId)
    {
        if (!chains.TryGetValue((@namespace, workflowId), out var chain))
        {
            throw Fault.WorkflowNotFound(workflowId);
        }

        Run? run;
        Task known;
        lock (chain.Gate)
        {
            run = runId.Length == 0 ? chain.Current : chain.Runs.GetValueOrDefault(runId);
            run?.Use();
            known = chain.LastCommit;
        }

        if (run is { IsLoaded: true })
        {
            // Whatever the caller does with it waits for what is on its way to the store; there is no need to wait twice.
            return run;
        }

        await known;
        if (run is null)
        {
            throw Fault.WorkflowNotFound(workflowId);
        }

        await LoadAsync(run);
        return run;
    }

    public async Task<Run> FindAsync(TaskToken token)
    {
        try
        {
            return await FindAsync(token.Run.Namespace, token.Run.WorkflowId, token.Run.RunId);
        }
        catch (Fault fault) when (fault.Code == StatusCode.NotFound)
        {
            throw Fault.AlreadyCompleted();
        }
    }

    /// <summary>Reads state of a run under its lock, and answers (or throws) once that state is durable.</summary>
    public async Task<T> ReadAsync<T>(Run run, Func<T> read)
    {
        while (true)
        {
            T result = default!;
            ExceptionDispatchInfo? error = null;
            Task known;
            bool isLoaded;
            lock (run.Chain.Gate)
            {
                isLoaded = run.IsLoaded;
                try
                {
                    result = isLoaded ? read() : result;
                }
                catch (Exception e)
                {
                    error = ExceptionDispatchInfo.Capture(e);
                }

                known = run.Chain.LastCommit;
            }

            await known;
            error?.Throw();
            if (isLoaded)
            {
                return result;
            }

            await LoadAsync(run);
        }
    }

    /// <summary>The alarm of a run has rung. Called on the clock's thread, which therefore cannot jump before the run has reacted.</summary>
    public void Ring(Run run) => InBackgroundAfter(TransitAsync(run.Chain, run.RingAlarms));

    /// <summary>Forgets a run. Its workflow id goes with the last of its runs.</summary>
    public Task DeleteAsync(Run run) => TransitAsync(run.Chain, work =>
    {
        var chain = run.Chain;
        if (!chain.Runs.Remove(run.RunId))
        {
            return;
        }

        Clock.Update(run.Alarm, null, 0);
        work.Delete(run);
        if (chain.Current == run)
        {
            chain.Current = chain.Runs.Values.MaxBy(r => r.StartTime);
        }

        if (chain.Runs.Count == 0)
        {
            chain.Removed = true;
            chains.TryRemove((chain.Namespace, chain.WorkflowId), out _);
        }
    });

    /// <summary>Takes over what the store has. Called once, before the server listens.</summary>
    /// <param name="others">Gets the stored values that are not the engine's own.</param>
    public async Task RecoverAsync(Action<BlobChange> others, CancellationToken cancellationToken)
    {
        var state = await store.LoadAsync(cancellationToken);
        foreach (var blob in state.Blobs)
        {
            if (NamespaceRegistry.Owns(blob))
            {
                Namespaces.Load(blob);
            }
            else if (SearchAttributeRegistry.Owns(blob))
            {
                SearchAttributes.Load(blob);
            }
            else
            {
                others(blob);
            }
        }

        foreach (var (key, header) in state.Closed)
        {
            Adopt(Run.FromHeader(this, Chain(key.Namespace, key.WorkflowId), key.RunId, header), header);
        }

        // Rebuilding a run is work for a processor and touches nothing but the run.
        var live = new Run[state.Live.Count];
        Parallel.For(0, live.Length, i =>
        {
            var stored = state.Live[i];
            live[i] = new Run(this, Chain(stored.Key.Namespace, stored.Key.WorkflowId), stored.Key.RunId);
            live[i].Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
        });
        foreach (var (run, stored) in live.Zip(state.Live))
        {
            taskId = Math.Max(taskId, stored.Events.Count == 0 ? 0 : stored.Events[^1].TaskId);
            Adopt(run, stored.Header);
        }

        foreach (var run in live)
        {
            await TransitAsync(run.Chain, run.Resume);
        }
    }

    public async ValueTask DisposeAsync()
    {
        EndWaits();
        Clock.Dispose();
        await background.DisposeAsync();
        await Commits.DisposeAsync();
        await store.DisposeAsync();
        stopping.Dispose();
    }

    private void Adopt(Run run, RunHeader header)
    {
        run.Chain.Runs[run.RunId] = run;
        if (header.IsCurrent)
        {
            run.Chain.Current = run;
        }

        Visibility.Put(run.Chain.Namespace, run.Info());
    }

    /// <summary>Brings a closed run's history back into memory.</summary>
    public async Task LoadAsync(Run run)
    {
        var stored = await store.LoadRunAsync(run.Key, CancellationToken.None) ?? throw Fault.WorkflowNotFound(run.Chain.WorkflowId);
        lock (run.Chain.Gate)
        {
            if (!run.IsLoaded)
            {
                run.Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
                run.Use();
                NoteClosed(run);
            }
        }
    }

    private void InBackgroundAfter(Task task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            background.Start(() => task);
        }
    }
}
