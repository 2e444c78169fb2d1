using Temporalio.Activities;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

public static class SampleActivities
{
    [Activity]
    public static string Echo(string text) => text;

    [Activity]
    public static int FailUntil(int attempt)
    {
        var current = ActivityExecutionContext.Current.Info.Attempt;
        return current >= attempt ? current : throw new ApplicationFailureException($"attempt {current} fails");
    }

    [Activity]
    public static void FailForGood() => throw new ApplicationFailureException("broken", errorType: "Broken", nonRetryable: true);

    /// <summary>Heartbeats until it is cancelled.</summary>
    [Activity]
    public static async Task<string> WaitForCancelAsync()
    {
        var context = ActivityExecutionContext.Current;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        try
        {
            while (await timer.WaitForNextTickAsync(context.CancellationToken))
            {
                context.Heartbeat("alive");
            }
        }
        catch (OperationCanceledException) when (context.CancelReason == ActivityCancelReason.CancelRequested)
        {
            return "saw the cancel request";
        }

        return "never";
    }

    /// <summary>Never heartbeats and never ends before its worker stops.</summary>
    [Activity]
    public static async Task<string> HangAsync()
    {
        var context = ActivityExecutionContext.Current;
        if (context.Info.Attempt > 1)
        {
            return "second attempt";
        }

        await Task.Delay(Timeout.Infinite, context.CancellationToken);
        return "never";
    }

    [Activity]
    public static void CompleteLater() => throw new CompleteAsyncException();
}

[Workflow]
public sealed class EchoWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync(string text) => await Workflow.ExecuteActivityAsync(
        () => SampleActivities.Echo(text),
        new() { StartToCloseTimeout = TimeSpan.FromSeconds(10), Summary = "says it again" });
}

[Workflow]
public sealed class ParallelWorkflow
{
    [WorkflowRun]
    public async Task<int> RunAsync(int count)
    {
        var tasks = Enumerable.Range(0, count).Select(i => Workflow.ExecuteActivityAsync(
            () => SampleActivities.Echo($"{i}"),
            new() { StartToCloseTimeout = TimeSpan.FromSeconds(10) })).ToList();
        var results = await Workflow.WhenAllAsync(tasks);
        return results.Select(int.Parse).Sum();
    }
}

[Workflow]
public sealed class RetryingWorkflow
{
    [WorkflowRun]
    public async Task<int> RunAsync(int attempts) => await Workflow.ExecuteActivityAsync(
        () => SampleActivities.FailUntil(attempts),
        new()
        {
            StartToCloseTimeout = TimeSpan.FromSeconds(10),
            RetryPolicy = new RetryPolicy { InitialInterval = TimeSpan.FromMilliseconds(10), BackoffCoefficient = 1 },
        });
}

[Workflow]
public sealed class TimeoutWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync(string kind)
    {
        var options = new ActivityOptions { RetryPolicy = new() { MaximumAttempts = 1 } };
        switch (kind)
        {
            case "StartToClose":
                options.StartToCloseTimeout = TimeSpan.FromMilliseconds(200);
                break;
            case "ScheduleToClose":
                options.ScheduleToCloseTimeout = TimeSpan.FromMilliseconds(200);
                break;
            case "Heartbeat":
                options.StartToCloseTimeout = TimeSpan.FromMinutes(5);
                options.HeartbeatTimeout = TimeSpan.FromMilliseconds(200);
                break;
            default:
                options.ScheduleToCloseTimeout = TimeSpan.FromMinutes(5);
                options.ScheduleToStartTimeout = TimeSpan.FromMilliseconds(200);
                options.TaskQueue = "nobody-polls-here";
                break;
        }

        try
        {
            return await Workflow.ExecuteActivityAsync(() => SampleActivities.HangAsync(), options);
        }
        catch (ActivityFailureException e) when (e.InnerException is TimeoutFailureException timeout)
        {
            return $"{timeout.TimeoutType} {e.RetryState}";
        }
    }
}

[Workflow]
public sealed class CancelActivityWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        using var cancel = new CancellationTokenSource();
        var activity = Workflow.ExecuteActivityAsync(
            () => SampleActivities.WaitForCancelAsync(),
            new()
            {
                StartToCloseTimeout = TimeSpan.FromSeconds(30),
                HeartbeatTimeout = TimeSpan.FromSeconds(1),
                CancellationType = ActivityCancellationType.WaitCancellationCompleted,
                CancellationToken = cancel.Token,
            });
        await Workflow.DelayAsync(300);
        cancel.Cancel();
        return await activity;
    }
}

/// <summary>Collects signals, answers queries and updates, and ends when told to.</summary>
[Workflow]
public sealed class MailboxWorkflow
{
    private readonly List<string> mail = [];
    private bool done;

    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        await Workflow.WaitConditionAsync(() => done);
        return string.Join(",", mail);
    }

    [WorkflowSignal]
    public Task PutAsync(string text)
    {
        mail.Add(text);
        return Task.CompletedTask;
    }

    [WorkflowSignal]
    public Task FinishAsync()
    {
        done = true;
        return Task.CompletedTask;
    }

    [WorkflowQuery]
    public int Count() => mail.Count;

    [WorkflowQuery]
    public int Broken() => throw new ArgumentException("no such answer");

    [WorkflowUpdate]
    public async Task<int> AddAsync(string text)
    {
        mail.Add(text);
        await Workflow.DelayAsync(1);
        return mail.Count;
    }

    [WorkflowUpdateValidator(nameof(AddAsync))]
    public void ValidateAdd(string text)
    {
        if (text.Length == 0)
        {
            throw new ApplicationFailureException("empty text", errorType: "Empty");
        }
    }

    [WorkflowUpdate]
    public async Task NeverAsync() => await Workflow.WaitConditionAsync(() => false);
}

[Workflow]
public sealed class SleepWorkflow
{
    [WorkflowRun]
    public async Task<double> RunAsync(double seconds)
    {
        var start = Workflow.UtcNow;
        await Workflow.DelayAsync(TimeSpan.FromSeconds(seconds));
        return (Workflow.UtcNow - start).TotalSeconds;
    }
}

[Workflow]
public sealed class ParentWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync(string how)
    {
        var id = $"{Workflow.Info.WorkflowId}-child";
        switch (how)
        {
            case "result":
                return await Workflow.ExecuteChildWorkflowAsync((EchoWorkflow w) => w.RunAsync("from the child"), new() { Id = id });
            case "failure":
                try
                {
                    await Workflow.ExecuteChildWorkflowAsync((FailingWorkflow w) => w.RunAsync(), new() { Id = id });
                }
                catch (ChildWorkflowFailureException e)
                {
                    return e.InnerException!.Message;
                }

                return "never";
            case "duplicate":
                var first = await Workflow.StartChildWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), new() { Id = id });
                try
                {
                    await Workflow.StartChildWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), new() { Id = id });
                }
                catch (WorkflowAlreadyStartedException)
                {
                    await first.SignalAsync(w => w.PutAsync("from the parent"));
                    await first.SignalAsync(w => w.FinishAsync());
                    return await first.GetResultAsync();
                }

                return "never";
            case "wait":
                return await Workflow.ExecuteChildWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), new() { Id = id });
            default:
                await Workflow.StartChildWorkflowAsync(
                    (MailboxWorkflow w) => w.RunAsync(),
                    new() { Id = id, ParentClosePolicy = Enum.Parse<Temporalio.Workflows.ParentClosePolicy>(how) });
                return id;
        }
    }
}

[Workflow]
public sealed class FailingWorkflow
{
    [WorkflowRun]
    public Task RunAsync() => throw new ApplicationFailureException("on purpose");
}

[Workflow]
public sealed class RetriedWorkflow
{
    [WorkflowRun]
    public Task<int> RunAsync(int attempts) => Workflow.Info.Attempt >= attempts
        ? Task.FromResult(Workflow.Info.Attempt)
        : throw new ApplicationFailureException($"attempt {Workflow.Info.Attempt}");
}

[Workflow]
public sealed class CountdownWorkflow
{
    [WorkflowRun]
    public Task<string> RunAsync(int left) => left == 0
        ? Task.FromResult(Workflow.Info.ContinuedRunId is null ? "first run" : "continued")
        : throw Workflow.CreateContinueAsNewException((CountdownWorkflow w) => w.RunAsync(left - 1));
}

[Workflow]
public sealed class TaskFailureWorkflow
{
    public static int Tries;

    [WorkflowRun]
    public Task<int> RunAsync() => Interlocked.Increment(ref Tries) < 3
        ? throw new InvalidOperationException("a bug, not a failure")
        : Task.FromResult(Tries);
}

[Workflow]
public sealed class LocalActivityWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync() => Workflow.Patched("new") + await Workflow.ExecuteLocalActivityAsync(
        () => SampleActivities.Echo(" local"),
        new() { StartToCloseTimeout = TimeSpan.FromSeconds(5) });
}

[Workflow]
public sealed class AttributesWorkflow
{
    public static readonly SearchAttributeKey<string> Step = SearchAttributeKey.CreateKeyword("Step");
    public static readonly SearchAttributeKey<long> Size = SearchAttributeKey.CreateLong("Size");

    [WorkflowRun]
    public async Task RunAsync()
    {
        Workflow.UpsertTypedSearchAttributes(Step.ValueSet("two"), Size.ValueUnset());
        Workflow.UpsertMemo(MemoUpdate.ValueSet("colour", "red"), MemoUpdate.ValueUnset("shape"));
        await Workflow.DelayAsync(1);
    }
}

[Workflow]
public sealed class AsyncCompletionWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync() => await Workflow.ExecuteActivityAsync<string>(
        nameof(SampleActivities.CompleteLater),
        [],
        new() { StartToCloseTimeout = TimeSpan.FromSeconds(30), ActivityId = "later" });
}

[Workflow]
public sealed class HeartbeatTimeoutRetryWorkflow
{
    [WorkflowRun]
    public async Task<string> RunAsync() => await Workflow.ExecuteActivityAsync(
        () => SampleActivities.HangAsync(),
        new()
        {
            StartToCloseTimeout = TimeSpan.FromMinutes(5),
            HeartbeatTimeout = TimeSpan.FromMilliseconds(300),
            RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(10) },
        });
}

[Workflow]
public sealed class BackoffWorkflow
{
    [WorkflowRun]
    public async Task<int> RunAsync(int attempts) => await Workflow.ExecuteActivityAsync(
        () => SampleActivities.FailUntil(attempts),
        new() { StartToCloseTimeout = TimeSpan.FromSeconds(10) });
}
