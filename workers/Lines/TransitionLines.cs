using Microsoft.Extensions.Logging;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Exceptions;
using Temporalio.Worker.Interceptors;
using Temporalio.Workflows;

namespace SnapshotFlow.Workers.Lines;

/// <summary>
/// Writes one line of log for each transition, where it is known: that a run began, and how it ended, on the control worker that decided it; how an attempt at a step
/// ended, on the worker that made it; and on the control worker again that a step got no answer, because then no other worker tells. Steps that only look say so at
/// level debug. Which request it is about is said by the scope around; what it is about, by <see cref="Subject"/>.
/// </summary>
internal sealed partial class TransitionLines(ILogger<TransitionLines> log, TimeProvider clock) : IWorkerInterceptor
{
    private readonly ILogger logger = log;
    private readonly TimeProvider time = clock;

    /// <summary>Steps that change nothing, and processes that run by themselves all the time and mostly change nothing.</summary>
    private static readonly HashSet<string> Looks =
    [
        Name(nameof(IReconcileActivities.ReadRecordsAsync)), Name(nameof(IReconcileActivities.CompareSnapshotsAsync)), Name(nameof(IReconcileActivities.LookUpRunsAsync)),
        Name(nameof(IReconcileActivities.DecideRepairsAsync)), Name(nameof(IReconcileActivities.ConfirmDeletionAsync)), Name(nameof(ILeaseActivities.ListLeasesAsync)),
        Name(nameof(IVolumeActivities.ListVolumeSnapshotsAsync)), Name(nameof(IVolumeActivities.DescribeBackendAsync)), Name(nameof(IExaminationActivities.ExamineAsync)),
        Name(nameof(IRecordActivities.LocateServerAsync)), "Reconcile", "Examine",
    ];

    /// <inheritdoc/>
    public ActivityInboundInterceptor InterceptActivity(ActivityInboundInterceptor nextInterceptor) => new Attempts(nextInterceptor, this);

    /// <inheritdoc/>
    public WorkflowInboundInterceptor InterceptWorkflow(WorkflowInboundInterceptor nextInterceptor) => new Runs(nextInterceptor, this);

    private static string Name(string method) => method[..^"Async".Length];

    private static LogLevel Usual(string step) => Looks.Contains(step) ? LogLevel.Debug : LogLevel.Information;

    private void Write(IReadOnlyList<IReadOnlyDictionary<string, object?>> subjects, string host, Action line)
    {
        foreach (var subject in subjects)
        {
            using var about = logger.BeginScope(subject);
            using var where = logger.BeginScope(new Dictionary<string, object?> { ["host"] = host });
            line();
        }
    }

    private static string ErrorType(Exception e) => (e as ApplicationFailureException)?.ErrorType ?? e.GetType().Name;

    /// <summary>What nobody has meant to happen, with all that is known of it; null for a failure of a kind that is known.</summary>
    private static Exception? Bug(Exception e) => e is ApplicationFailureException || TemporalException.IsCanceledException(e) ? null : e;

    /// <summary>Where the tasks of a queue are done; control workers are anywhere.</summary>
    private static string HostOf(string taskQueue) => Names.Place(taskQueue) ?? Environment.MachineName;

    private sealed class Attempts(ActivityInboundInterceptor next, TransitionLines lines) : ActivityInboundInterceptor(next)
    {
        public override async Task<object?> ExecuteActivityAsync(ExecuteActivityInput input)
        {
            var info = ActivityExecutionContext.Current.Info;
            var began = lines.time.GetTimestamp();
            object? answer;
            try
            {
                answer = await Next.ExecuteActivityAsync(input);
            }
            catch (Exception e)
            {
                lines.Write(Subject.Of(input.Args, null), HostOf(info.TaskQueue), () =>
                {
                    if (TemporalException.IsCanceledException(e))
                    {
                        Log.StepCancelled(lines.logger, info.ActivityType, info.Attempt, lines.time.GetElapsedTime(began));
                    }
                    else
                    {
                        Log.StepFailed(lines.logger, info.ActivityType, info.Attempt, lines.time.GetElapsedTime(began), ErrorType(e), e.Message, Bug(e));
                    }
                });
                throw;
            }

            lines.Write(
                Subject.Of(input.Args, answer), HostOf(info.TaskQueue), () => Log.StepDone(lines.logger, Usual(info.ActivityType), info.ActivityType, info.Attempt, lines.time.GetElapsedTime(began)));
            return answer;
        }
    }

    private sealed class Runs(WorkflowInboundInterceptor next, TransitionLines lines) : WorkflowInboundInterceptor(next)
    {
        public override void Init(WorkflowOutboundInterceptor outbound) => Next.Init(new Steps(outbound, lines));

        public override async Task<object?> ExecuteWorkflowAsync(ExecuteWorkflowInput input)
        {
            var process = Workflow.Info.WorkflowType;
            WriteUnlessReplaying(input, () => Log.RunBegan(lines.logger, Usual(process), process));
            try
            {
                var answer = await Next.ExecuteWorkflowAsync(input);
                var (status, refusal) = answer switch
                {
                    CreateImageResult image => (image.Status, image.Refusal),
                    RunEnd end => (end.Status, end.Refusal),
                    _ => (RunStatus.Completed, null),
                };
                WriteUnlessReplaying(input, () => Log.RunEnded(lines.logger, Usual(process), process, status.ToText(), Took(), refusal?.Kind.ToString(), refusal?.Message, null));
                return answer;
            }
            catch (Exception e) when (e is not ContinueAsNewException)
            {
                var status = TemporalException.IsCanceledException(e) ? RunStatus.Cancelled
                    : e is ApplicationFailureException { ErrorType: nameof(ErrorKind.CompensationFailed) } ? RunStatus.CompensationFailed
                    : RunStatus.Failed;
                WriteUnlessReplaying(input, () => Log.RunEnded(
                    lines.logger, status is RunStatus.Cancelled ? LogLevel.Information : status is RunStatus.CompensationFailed ? LogLevel.Error : LogLevel.Warning, process, status.ToText(), Took(),
                    ErrorType(e), e.Message, Bug(e)));
                throw;
            }
        }

        private static TimeSpan Took() => Workflow.UtcNow - Workflow.Info.WorkflowStartTime;

        private void WriteUnlessReplaying(ExecuteWorkflowInput input, Action line)
        {
            if (!Workflow.Unsafe.IsReplaying)
            {
                lines.Write(Subject.Of(input.Args, null), Environment.MachineName, line);
            }
        }
    }

    /// <summary>Steps that no worker answered. Looks on without coming between a step and who waits for it: the order of what a workflow does stays its own.</summary>
    private sealed class Steps(WorkflowOutboundInterceptor next, TransitionLines lines) : WorkflowOutboundInterceptor(next)
    {
        public override Task<TResult> ScheduleActivityAsync<TResult>(ScheduleActivityInput input)
        {
            var step = Next.ScheduleActivityAsync<TResult>(input);
            _ = step.ContinueWith(
                failed =>
                {
                    if (!Workflow.Unsafe.IsReplaying && failed.Exception?.InnerException is ActivityFailureException { InnerException: TimeoutFailureException timeout })
                    {
                        var queue = input.Options.TaskQueue ?? Workflow.Info.TaskQueue;
                        lines.Write(Subject.Of(input.Args, null), HostOf(queue), () => Log.StepUnanswered(lines.logger, input.Activity, timeout.TimeoutType.ToString(), queue));
                    }
                },
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Current);
            return step;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 600, Message = "{Process} began")]
        public static partial void RunBegan(ILogger logger, LogLevel level, string process);

        [LoggerMessage(EventId = 601, Message = "{Process} ended after {Took}: {Result} {ErrorType} {Reason}")]
        public static partial void RunEnded(ILogger logger, LogLevel level, string process, string result, TimeSpan took, string? errorType, string? reason, Exception? bug);

        [LoggerMessage(EventId = 610, Message = "{Step} done in {Took}, attempt {Attempt}")]
        public static partial void StepDone(ILogger logger, LogLevel level, string step, int attempt, TimeSpan took);

        [LoggerMessage(611, LogLevel.Warning, "{Step} failed after {Took}, attempt {Attempt}: {ErrorType} {Reason}")]
        public static partial void StepFailed(ILogger logger, string step, int attempt, TimeSpan took, string errorType, string reason, Exception? bug);

        [LoggerMessage(612, LogLevel.Information, "{Step} cancelled after {Took}, attempt {Attempt}")]
        public static partial void StepCancelled(ILogger logger, string step, int attempt, TimeSpan took);

        [LoggerMessage(613, LogLevel.Warning, "{Step} had no answer in time ({Timeout}) from {TaskQueue}")]
        public static partial void StepUnanswered(ILogger logger, string step, string timeout, string taskQueue);
    }
}
