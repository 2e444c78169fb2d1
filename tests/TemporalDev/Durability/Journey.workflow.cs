using Temporalio.Activities;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>What a journey does, in order; drawn from a seed, so that the test knows the right result without asking anybody.</summary>
public enum Leg
{
    Activity,
    FailingActivity,
    ParallelActivities,
    Timer,
    CanceledTimer,
    Child,
    SearchAttribute,
    Rest,
}

/// <param name="Legs">What remains to be done.</param>
/// <param name="Rests">After this many further legs the run continues as new.</param>
public sealed record Itinerary(IReadOnlyList<Leg> Legs, IReadOnlyList<string> Signals, IReadOnlyList<string> Bookings)
{
    /// <summary>How many of the legs are done.</summary>
    public int Done { get; init; }

    public string Log { get; init; } = "";

    public IReadOnlyList<string> Received { get; init; } = [];

    public IReadOnlyList<string> Booked { get; init; } = [];

    public static Itinerary Draw(Random random, string name)
    {
        var kinds = Enum.GetValues<Leg>();
        var legs = Enumerable.Range(0, random.Next(5, 14)).Select(_ => kinds[random.Next(kinds.Length)]).ToArray();
        return new Itinerary(
            legs,
            [.. Enumerable.Range(0, random.Next(0, 4)).Select(i => $"{name}/signal-{i}")],
            [.. Enumerable.Range(0, random.Next(0, 3)).Select(i => $"{name}/booking-{i}")]);
    }

    /// <summary>What the journey must answer in the end.</summary>
    public string Result(string workflowId)
    {
        var log = string.Concat(Legs.Select((leg, i) => Journey.Entry(i, leg)));
        var children = Legs.Select((leg, i) => (leg, i)).Where(l => l.leg == Leg.Child).Select(l => JourneyChild.Greeting(workflowId, l.i));
        return $"{log}|{Join(Signals.Concat(children))}|{Join(Bookings)}";
    }

    public static string Join(IEnumerable<string> tokens) => string.Join(',', tokens.Order(StringComparer.Ordinal));
}

/// <summary>A workflow that uses most of what a workflow can use, and whose result is known beforehand.</summary>
[Workflow]
public class Journey
{
    public static readonly SearchAttributeKey<long> Progress = SearchAttributeKey.CreateLong("Progress");

    private static readonly ActivityOptions Quick = new()
    {
        StartToCloseTimeout = TimeSpan.FromSeconds(2),
        RetryPolicy = new RetryPolicy { InitialInterval = TimeSpan.FromMilliseconds(50), BackoffCoefficient = 1.5f, MaximumInterval = TimeSpan.FromMilliseconds(400) },
    };

    private readonly SortedSet<string> received = new(StringComparer.Ordinal);
    private readonly SortedSet<string> booked = new(StringComparer.Ordinal);

    public static string Entry(int step, Leg leg) => $"{step}:{leg};";

    [WorkflowRun]
    public async Task<string> RunAsync(Itinerary itinerary)
    {
        received.UnionWith(itinerary.Received);
        booked.UnionWith(itinerary.Booked);
        var log = itinerary.Log;
        for (var step = itinerary.Done; step < itinerary.Legs.Count; step++)
        {
            var leg = itinerary.Legs[step];
            if (leg == Leg.Rest && step > itinerary.Done)
            {
                await Workflow.WaitConditionAsync(() => Workflow.AllHandlersFinished);
                var rest = itinerary with { Done = step, Log = log, Received = [.. received], Booked = [.. booked] };
                throw Workflow.CreateContinueAsNewException((Journey next) => next.RunAsync(rest));
            }

            await GoAsync(step, leg);
            log += Entry(step, leg);
        }

        var children = itinerary.Legs.Count(l => l == Leg.Child);
        await Workflow.WaitConditionAsync(() =>
            received.Count >= itinerary.Signals.Count + children && booked.Count >= itinerary.Bookings.Count && Workflow.AllHandlersFinished);
        return $"{log}|{Itinerary.Join(received)}|{Itinerary.Join(booked)}";
    }

    [WorkflowSignal]
    public Task ReceiveAsync(string token)
    {
        received.Add(token);
        return Task.CompletedTask;
    }

    [WorkflowUpdate]
    public async Task<string> BookAsync(string token)
    {
        var confirmed = await Workflow.ExecuteActivityAsync((JourneyActivities a) => a.Confirm(token), Quick);
        booked.Add(token);
        return confirmed;
    }

    [WorkflowUpdateValidator(nameof(BookAsync))]
    public void ValidateBook(string token)
    {
        if (token.Length == 0)
        {
            throw new ApplicationFailureException("a booking needs a token");
        }
    }

    [WorkflowQuery]
    public int Seen() => received.Count + booked.Count;

    private static async Task GoAsync(int step, Leg leg)
    {
        switch (leg)
        {
            case Leg.Activity:
                await Workflow.ExecuteActivityAsync((JourneyActivities a) => a.Work(step, 0), Quick);
                break;
            case Leg.FailingActivity:
                await Workflow.ExecuteActivityAsync((JourneyActivities a) => a.Work(step, 2), Quick);
                break;
            case Leg.ParallelActivities:
                await Workflow.WhenAllAsync(Enumerable.Range(0, 4).Select(i => Workflow.ExecuteActivityAsync((JourneyActivities a) => a.Work(step, i % 2), Quick)));
                break;
            case Leg.Timer:
                await Workflow.DelayAsync(TimeSpan.FromMilliseconds(Workflow.Random.Next(1, 400)));
                break;
            case Leg.CanceledTimer:
                using (var cancel = CancellationTokenSource.CreateLinkedTokenSource(Workflow.CancellationToken))
                {
                    var timer = Workflow.DelayAsync(TimeSpan.FromHours(1), cancel.Token);
                    await Workflow.DelayAsync(TimeSpan.FromMilliseconds(20));
#pragma warning disable CA1849 // CancelAsync would leave the workflow's own scheduler
                    cancel.Cancel();
#pragma warning restore CA1849
                    await Workflow.WhenAnyAsync(timer);
                }

                break;
            case Leg.Child:
                var child = $"{Workflow.Info.WorkflowId}/child-{step}";
                await Workflow.ExecuteChildWorkflowAsync((JourneyChild c) => c.RunAsync(Workflow.Info.WorkflowId, step), new() { Id = child, TaskTimeout = TimeSpan.FromSeconds(2) });
                break;
            case Leg.SearchAttribute:
                Workflow.UpsertTypedSearchAttributes(Progress.ValueSet(step));
                break;
        }
    }
}

/// <summary>Signals its parent from outside, after a timer and an activity.</summary>
[Workflow]
public class JourneyChild
{
    public static string Greeting(string parent, int step) => $"{parent}/greeting-{step}";

    [WorkflowRun]
    public async Task RunAsync(string parent, int step)
    {
        await Workflow.DelayAsync(TimeSpan.FromMilliseconds(30));
        await Workflow.ExecuteActivityAsync((JourneyActivities a) => a.Work(step, 0), new ActivityOptions
        {
            StartToCloseTimeout = TimeSpan.FromSeconds(2),
            RetryPolicy = new RetryPolicy { InitialInterval = TimeSpan.FromMilliseconds(50), MaximumInterval = TimeSpan.FromMilliseconds(400) },
        });
        await Workflow.GetExternalWorkflowHandle<Journey>(parent).SignalAsync(j => j.ReceiveAsync(Greeting(parent, step)));
    }
}

/// <summary>A workflow that a schedule starts.</summary>
[Workflow]
public class Tick
{
    [WorkflowRun]
    public Task RunAsync() => Task.CompletedTask;
}

public sealed class JourneyActivities
{
    /// <summary>Fails on its first attempts.</summary>
    [Activity]
    public string Work(int step, int failures)
    {
        var attempt = ActivityExecutionContext.Current.Info.Attempt;
        return attempt <= failures ? throw new ApplicationFailureException($"attempt {attempt} of step {step} fails") : $"done {step}";
    }

    [Activity]
    public string Confirm(string token) => $"confirmed {token}";
}
