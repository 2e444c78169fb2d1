using System.Collections.Concurrent;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>Clients and workers that keep a number of workflows in flight, and remember every answer that they got.</summary>
internal sealed class CrashLoad(TemporalClient client, Witness witness, int seed)
{
    public const int JourneysInFlight = 20;
    public const int LedgersInFlight = 6;
    public const string JourneyQueue = "journeys";

    private const string LedgerQueue = "ledgers";

    private readonly ConcurrentQueue<Finished> finished = new();
    private readonly ConcurrentDictionary<string, bool> certainSignals = new();
    private readonly Observer observer = new(client.Connection.WorkflowService, witness);
    private readonly LedgerWorker ledgers = new(client.Connection.WorkflowService, witness, LedgerQueue);
    private readonly ConcurrentDictionary<string, bool> inFlight = new();
    private int number;

    /// <summary>Workflows that have been started and have not ended.</summary>
    public int InFlight => inFlight.Count;

    public int Completed => finished.Count;

    public int Acknowledged => ledgers.Acknowledged;

    /// <summary>Starts workflow after workflow until <paramref name="enough"/>, then waits for those that are under way and for the last call.</summary>
    public async Task RunAsync(Func<Task> atLast, CancellationToken enough, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var options = new TemporalWorkerOptions(JourneyQueue) { MaxCachedWorkflows = 15 }
            .AddWorkflow<Journey>().AddWorkflow<JourneyChild>().AddWorkflow<Tick>().AddAllActivities(new JourneyActivities());
        using var worker = new TemporalWorker(client, options);
        var ledger = ledgers.RunAsync(stop.Token);
        await worker.ExecuteAsync(
            async () =>
            {
                await Task.WhenAll(
                    Enumerable.Range(0, JourneysInFlight).Select(_ => RepeatAsync(TravelAsync, enough, cancellationToken))
                        .Concat(Enumerable.Range(0, LedgersInFlight).Select(_ => RepeatAsync(KeepLedgerAsync, enough, cancellationToken))));
                await atLast();
            },
            cancellationToken);
        await stop.CancelAsync();
        await ledger;
    }

    /// <summary>What those that have not ended are waiting for.</summary>
    public async Task<string> ExplainAsync()
    {
        var lines = new List<string>();
        foreach (var id in inFlight.Keys.Order(StringComparer.Ordinal))
        {
            var described = await client.Connection.WorkflowService.DescribeWorkflowExecutionAsync(
                new() { Namespace = "default", Execution = new() { WorkflowId = id } });
            var history = await client.GetWorkflowHandle(id).FetchHistoryAsync();
            lines.Add($"{id}: workflow task {described.PendingWorkflowTask}; {described.PendingActivities.Count} activities; {described.PendingChildren.Count} children; "
                + $"last events {string.Join(", ", history.Events.TakeLast(5).Select(e => $"{e.EventId} {e.EventType} {e.EventTime}"))}");
        }

        return string.Join('\n', lines);
    }

    /// <summary>Compares every history with what was seen and answered.</summary>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        var random = new Random(seed);
        var replay = new List<WorkflowHistory>();
        foreach (var workflow in finished)
        {
            var histories = new List<IReadOnlyList<HistoryEvent>>();
            foreach (var runId in workflow.Runs)
            {
                var history = await observer.ReadAsync(workflow.Id, runId, random.Next(2, 60), cancellationToken);
                histories.Add(history);
                witness.CompareWithFinal(runId, history);
                foreach (var broken in HistoryRules.Broken(history))
                {
                    witness.Accuse($"run {runId} of {workflow.Id}: {broken}");
                }

                foreach (var failed in history.Where(e => e.WorkflowTaskFailedEventAttributes is { Cause: not WorkflowTaskFailedCause.UnhandledCommand }))
                {
                    witness.Accuse($"run {runId} of {workflow.Id}: {failed}");
                }

                ledgers.CompareWithFinal(runId, history);
                if (workflow.Itinerary is not null)
                {
                    replay.Add(new WorkflowHistory(workflow.Id, [.. history]));
                }
            }

            CheckTokens(workflow, histories);
            await CheckListAsync(workflow, cancellationToken);
        }

        var replayer = new WorkflowReplayer(new WorkflowReplayerOptions().AddWorkflow<Journey>().AddWorkflow<JourneyChild>());
        foreach (var result in await replayer.ReplayWorkflowsAsync(replay, false, cancellationToken))
        {
            if (result.ReplayFailure is not null)
            {
                witness.Accuse($"{result.History.Id} does not replay: {result.ReplayFailure.Message}");
            }
        }
    }

    private async Task RepeatAsync(Func<int, CancellationToken, Task> once, CancellationToken enough, CancellationToken cancellationToken)
    {
        while (!enough.IsCancellationRequested)
        {
            await once(Interlocked.Increment(ref number), cancellationToken);
        }
    }

    private async Task TravelAsync(int index, CancellationToken cancellationToken)
    {
        var id = $"journey-{index}";
        inFlight[id] = true;
        var random = new Random(seed + index);
        var itinerary = Itinerary.Draw(random, id);
        var options = Options(id, JourneyQueue);
        var first = await StartAsync(id, async () => (await client.StartWorkflowAsync((Journey j) => j.RunAsync(itinerary), options)).FirstExecutionRunId!, cancellationToken);
        var following = observer.FollowAsync(id, first, cancellationToken);
        var current = client.GetWorkflowHandle<Journey, string>(id);
        await Task.WhenAll(
            SignalAsync(current, itinerary, new Random(random.Next()), cancellationToken),
            BookAsync(current, itinerary, new Random(random.Next()), cancellationToken));
        var (result, _) = await Insisting.On(() => current.GetResultAsync(), cancellationToken);
        if (result != itinerary.Result(id))
        {
            witness.Accuse($"{id} answered {result} instead of {itinerary.Result(id)}");
        }

        finished.Enqueue(new Finished(id, await following, itinerary));
        inFlight.TryRemove(id, out _);
    }

    private async Task SignalAsync(WorkflowHandle<Journey> journey, Itinerary itinerary, Random random, CancellationToken cancellationToken)
    {
        foreach (var token in itinerary.Signals)
        {
            await Task.Delay(random.Next(300), cancellationToken);
            var uncertain = await Insisting.On(() => journey.SignalAsync(j => j.ReceiveAsync(token)), cancellationToken);
            certainSignals[token] = !uncertain;
        }
    }

    private async Task BookAsync(WorkflowHandle<Journey> journey, Itinerary itinerary, Random random, CancellationToken cancellationToken)
    {
        foreach (var token in itinerary.Bookings)
        {
            await Task.Delay(random.Next(300), cancellationToken);
            try
            {
                var (confirmed, _) = await Insisting.On(() => journey.ExecuteUpdateAsync(j => j.BookAsync(token), new WorkflowUpdateOptions { Id = token }), cancellationToken);
                if (confirmed != $"confirmed {token}")
                {
                    witness.Accuse($"update {token} answered {confirmed}");
                }

                await RefuseAsync(journey, token + "/bad");
            }
            catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
            {
                // An attempt without an answer was the last thing the workflow waited for: it ended before the next attempt.
                // That the booking is in its history and its result is checked in the end.
            }
        }
    }

    private async Task RefuseAsync(WorkflowHandle<Journey> journey, string updateId)
    {
        try
        {
            await journey.ExecuteUpdateAsync(j => j.BookAsync(""), new WorkflowUpdateOptions { Id = updateId });
            witness.Accuse($"update {updateId} should have been rejected");
        }
        catch (WorkflowUpdateFailedException)
        {
            // As it should be.
        }
        catch (RpcException e) when (Insisting.HasNoAnswer(e) || e.Code == RpcException.StatusCode.NotFound)
        {
            // No answer, or the workflow was over: nothing to compare.
        }
    }

    private async Task KeepLedgerAsync(int index, CancellationToken cancellationToken)
    {
        var id = $"ledger-{index}";
        inFlight[id] = true;
        var first = await StartAsync(
            id, async () => (await client.StartWorkflowAsync(LedgerWorker.WorkflowType, [], Options(id, LedgerQueue))).FirstExecutionRunId!, cancellationToken);
        var following = observer.FollowAsync(id, first, cancellationToken);
        var (result, _) = await Insisting.On(() => client.GetWorkflowHandle(id).GetResultAsync<string>(), cancellationToken);
        if (result != $"{LedgerWorker.Entries} entries")
        {
            witness.Accuse($"{id} answered {result}");
        }

        finished.Enqueue(new Finished(id, await following, null));
        inFlight.TryRemove(id, out _);
    }

    /// <summary>
    /// The first run of a workflow. A call that the SDK has given up is repeated as a new request: what the one without an answer started may have ended since.
    /// </summary>
    private async Task<string> StartAsync(string id, Func<Task<string>> start, CancellationToken cancellationToken)
    {
        var attempts = 0;
        var (first, _) = await Insisting.On(
            async () =>
            {
                attempts++;
                try
                {
                    return await start();
                }
                catch (WorkflowAlreadyStartedException) when (attempts > 1)
                {
                    var described = await client.Connection.WorkflowService.DescribeWorkflowExecutionAsync(new() { Namespace = client.Options.Namespace, Execution = new() { WorkflowId = id } });
                    return described.WorkflowExecutionInfo.FirstRunId;
                }
            },
            cancellationToken);
        return first;
    }

    private static WorkflowOptions Options(string id, string queue) => new(id, queue)
    {
        TaskTimeout = TimeSpan.FromSeconds(2),
        IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting,
        IdReusePolicy = WorkflowIdReusePolicy.RejectDuplicate,
    };

    /// <summary>Each acknowledged signal and update is in the histories exactly once.</summary>
    private void CheckTokens(Finished workflow, List<IReadOnlyList<HistoryEvent>> histories)
    {
        if (workflow.Itinerary is not { } itinerary)
        {
            return;
        }

        var signals = histories.SelectMany(h => h).Where(e => e.WorkflowExecutionSignaledEventAttributes is not null)
            .GroupBy(e => e.WorkflowExecutionSignaledEventAttributes.Input.Payloads_[0].Data.ToStringUtf8().Trim('"')).ToDictionary(g => g.Key, g => g.Count());
        foreach (var token in itinerary.Signals)
        {
            var times = signals.GetValueOrDefault(token);
            if (times == 0 || (times > 1 && certainSignals[token]))
            {
                witness.Accuse($"signal {token} is {times} times in the history");
            }
        }

        foreach (var (greeting, times) in signals.Where(s => s.Key.Contains("/greeting-", StringComparison.Ordinal) && s.Value != 1))
        {
            witness.Accuse($"the signal {greeting} of a child is {times} times in the history of its parent");
        }

        foreach (var token in itinerary.Bookings)
        {
            // An update id belongs to a run: an answer that was lost is asked for again, and the next run of the chain may be the one that is asked.
            var runs = histories
                .Select(h => (
                    Accepted: h.Count(e => e.WorkflowExecutionUpdateAcceptedEventAttributes?.ProtocolInstanceId == token),
                    Completed: h.Count(e => e.WorkflowExecutionUpdateCompletedEventAttributes?.Meta.UpdateId == token)))
                .Where(counts => counts != (0, 0)).ToList();
            if (runs.Count == 0 || runs.Any(counts => counts != (1, 1)))
            {
                witness.Accuse($"update {token} is (accepted, completed) {string.Join(", ", runs)} times in the runs of its workflow");
            }
        }

        for (var step = 0; step < itinerary.Legs.Count; step++)
        {
            var child = $"{workflow.Id}/child-{step}";
            var started = histories.SelectMany(h => h).Count(e => e.ChildWorkflowExecutionStartedEventAttributes?.WorkflowExecution.WorkflowId == child);
            if (started != (itinerary.Legs[step] == Leg.Child ? 1 : 0))
            {
                witness.Accuse($"child {child} was started {started} times");
            }
        }
    }

    /// <summary>The list knows exactly the runs that there were, all closed.</summary>
    private async Task CheckListAsync(Finished workflow, CancellationToken cancellationToken)
    {
        var listed = new List<(string RunId, WorkflowExecutionStatus Status)>();
        await foreach (var run in client.ListWorkflowsAsync($"WorkflowId = '{workflow.Id}'").WithCancellation(cancellationToken))
        {
            listed.Add((run.RunId, run.Status));
        }

        var expected = workflow.Runs.Select((run, i) => (run, i == workflow.Runs.Count - 1 ? WorkflowExecutionStatus.Completed : WorkflowExecutionStatus.ContinuedAsNew));
        if (!listed.ToHashSet().SetEquals(expected))
        {
            witness.Accuse($"{workflow.Id} is listed as {string.Join(", ", listed)}; it was {string.Join(", ", expected)}");
        }
    }

    private sealed record Finished(string Id, IReadOnlyList<string> Runs, Itinerary? Itinerary);
}
