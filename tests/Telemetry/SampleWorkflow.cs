using Microsoft.Extensions.Logging;
using Temporalio.Activities;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>Two activities with a pause for a signal between them; the first fails once.</summary>
[Workflow("Sample")]
public sealed class SampleWorkflow
{
    private bool goOn;

    [WorkflowRun]
    public async Task<string> RunAsync(bool pause)
    {
        Workflow.MetricMeter.CreateCounter<int>("sample_runs").Add(1);
        var options = new ActivityOptions { StartToCloseTimeout = TimeSpan.FromSeconds(30), RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(1) }, Summary = "first of two" };
        await Workflow.ExecuteActivityAsync((SampleActivities a) => a.FailOnceAsync(), options);
        await Workflow.WaitConditionAsync(() => goOn || !pause);
        return await Workflow.ExecuteActivityAsync((SampleActivities a) => a.SucceedAsync(), new() { StartToCloseTimeout = TimeSpan.FromSeconds(30) });
    }

    [WorkflowSignal]
    public Task GoOnAsync()
    {
        goOn = true;
        return Task.CompletedTask;
    }

    [WorkflowUpdate]
    public Task<int> AnswerAsync() => Task.FromResult(42);
}

public sealed partial class SampleActivities(ILogger logger)
{
    [Activity]
    public Task FailOnceAsync() => ActivityExecutionContext.Current.Info.Attempt == 1
        ? throw new ApplicationFailureException("not yet", "NotYet")
        : Task.CompletedTask;

    [Activity]
    public Task<string> SucceedAsync()
    {
        Working(logger);
        return Task.FromResult("done");
    }

    [LoggerMessage(1, LogLevel.Information, "working")]
    private static partial void Working(ILogger logger);
}
