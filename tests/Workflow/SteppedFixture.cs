using System.Collections.Concurrent;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// The site of <see cref="CreateImageFixture"/>, whose workers reach Temporal through a <see cref="Turnstile"/> that is closed: nothing happens to a run but
/// by <see cref="StepAsync"/>, one commit of its history after the other.
/// </summary>
public sealed class SteppedFixture : CreateImageFixture
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ConcurrentDictionary<Turnstile.Call, TaskCompletionSource> held = [];
    private readonly ConcurrentDictionary<string, Turnstile.Call> polling = [];
    private int arrivals;

    protected override void Prepare(Turnstile turnstile) => turnstile.Gate = HoldAsync;

    /// <summary>Workers take leave by their polls.</summary>
    protected override void Release(Turnstile turnstile)
    {
        turnstile.Gate = null;
        foreach (var go in held.Values)
        {
            go.TrySetResult();
        }
    }

    /// <summary>Lets a run go on, commit by commit, until its history is as wanted.</summary>
    public async Task<IReadOnlyList<HistoryEvent>> StepAsync(WorkflowHandle run, Func<IReadOnlyList<HistoryEvent>, bool> done)
    {
        using var deadline = new CancellationTokenSource(Patience);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (true)
        {
            var events = await HistoryAsync(run);
            if (done(events))
            {
                return events;
            }

            if (await NextAsync(run, events) is { } call && held.TryRemove(call, out var go))
            {
                if (call.PolledQueue is { } queue)
                {
                    polling[$"{call.Method} {queue}"] = call;
                }

                go.SetResult();
                await Task.WhenAny(call.Answered.Task, Task.Delay(TimeSpan.FromMilliseconds(500), deadline.Token));
            }
            else if (!await timer.WaitForNextTickAsync(deadline.Token))
            {
                throw new InvalidOperationException("a running timer has ended");
            }
        }
    }

    private static async Task<IReadOnlyList<HistoryEvent>> HistoryAsync(WorkflowHandle run)
    {
        try
        {
            return [.. (await run.FetchHistoryAsync()).Events];
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            return [];
        }
    }

    /// <summary>What a worker has done comes first; then one poll of a queue on which the run has a task that nobody has taken.</summary>
    private async Task<Turnstile.Call?> NextAsync(WorkflowHandle run, IReadOnlyList<HistoryEvent> events)
    {
        var waiting = held.Keys.OrderBy(c => c.Arrival).ToList();
        if (events.Count == 0 || waiting.FirstOrDefault(c => c.Responds) is { } response)
        {
            return events.Count == 0 ? null : waiting.First(c => c.Responds);
        }

        var offered = await OfferedAsync(run, events);
        return waiting.FirstOrDefault(c => c.PolledQueue is { } queue && offered.Contains($"{c.Method} {queue}")
            && (!polling.TryGetValue($"{c.Method} {queue}", out var before) || before.Answered.Task.IsCompleted));
    }

    private static async Task<HashSet<string>> OfferedAsync(WorkflowHandle run, IReadOnlyList<HistoryEvent> events)
    {
        var offered = new HashSet<string>();
        var task = events.LastOrDefault(e => e.EventType is EventType.WorkflowTaskScheduled);
        if (task is not null && !events.Any(e => e.WorkflowTaskStartedEventAttributes?.ScheduledEventId == task.EventId))
        {
            offered.Add($"PollWorkflowTaskQueue {task.WorkflowTaskScheduledEventAttributes.TaskQueue.Name}");
        }

        var pending = (await run.Client.WorkflowService.DescribeWorkflowExecutionAsync(new() { Namespace = run.Client.Options.Namespace, Execution = new() { WorkflowId = run.Id } })).PendingActivities.Where(a => a.State is PendingActivityState.Scheduled).Select(a => a.ActivityId).ToHashSet();
        offered.UnionWith(events.Select(e => e.ActivityTaskScheduledEventAttributes).Where(a => a is not null && pending.Contains(a.ActivityId)).Select(a => $"PollActivityTaskQueue {a.TaskQueue.Name}"));
        return offered;
    }

    private async Task HoldAsync(Turnstile.Call call, CancellationToken gone)
    {
        if (!call.Responds && call.PolledQueue is null)
        {
            return;
        }

        call.Arrival = Interlocked.Increment(ref arrivals);
        var go = held[call] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            await go.Task.WaitAsync(gone);
        }
        finally
        {
            held.TryRemove(call, out _);
        }
    }
}
