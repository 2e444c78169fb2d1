using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Sdk.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Everything that a new run begins with. <see cref="Attributes"/> lacks nothing but what <see cref="Run.Begin"/> fills in.</summary>
internal sealed record NewRun(string RunId, string RequestId, WorkflowExecutionStartedEventAttributes Attributes)
{
    public UserMetadata? UserMetadata { get; init; }

    public IReadOnlyList<Link> Links { get; init; } = [];
}

/// <summary>How one run leads to the next: continue-as-new, workflow retry, cron.</summary>
internal sealed partial class Run
{
    /// <summary>Writes the first events of a new run and makes it the current one of its workflow id.</summary>
    public static Run Begin(UnitOfWork work, EngineHost engine, WorkflowChain chain, NewRun start)
    {
        var run = new Run(engine, chain, start.RunId) { StartRequestId = start.RequestId };
        var attributes = start.Attributes;
        attributes.WorkflowId = chain.WorkflowId;
        attributes.OriginalExecutionRunId = start.RunId;
        if (attributes.FirstExecutionRunId.Length == 0)
        {
            attributes.FirstExecutionRunId = start.RunId;
        }

        chain.Add(run);
        var e = new HistoryEvent { WorkflowExecutionStartedEventAttributes = attributes, UserMetadata = start.UserMetadata };
        e.Links.Add(start.Links);
        run.Append(work, e);
        run.EnsureWorkflowTask(work);
        return run;
    }

    private void ContinueAsNew(Completion completion, Command command)
    {
        var asked = command.ContinueAsNewWorkflowExecutionCommandAttributes;
        var next = Continuation(asked.Initiator == ContinueAsNewInitiator.Unspecified ? ContinueAsNewInitiator.Workflow : asked.Initiator);
        var attributes = next.Attributes;
        attributes.Attempt = 1;
        attributes.WorkflowType = asked.WorkflowType?.Name is { Length: > 0 } ? asked.WorkflowType : Started.WorkflowType;
        if (asked.TaskQueue?.Name is { Length: > 0 } queue)
        {
            attributes.TaskQueue = new TaskQueueName { Name = queue, Kind = TaskQueueKind.Normal };
        }

        attributes.Input = asked.Input;
        attributes.Header = asked.Header;
        attributes.WorkflowRunTimeout = ProtoTime.IsSet(asked.WorkflowRunTimeout) ? asked.WorkflowRunTimeout : Started.WorkflowRunTimeout;
        attributes.WorkflowTaskTimeout = ProtoTime.IsSet(asked.WorkflowTaskTimeout) ? asked.WorkflowTaskTimeout : Started.WorkflowTaskTimeout;
        attributes.RetryPolicy = asked.RetryPolicy is null ? Started.RetryPolicy : RetryPolicyRules.WithDefaults(asked.RetryPolicy);
        attributes.CronSchedule = asked.CronSchedule.Length > 0 ? asked.CronSchedule : Started.CronSchedule;
        attributes.ContinuedFailure = asked.Failure;
        attributes.LastCompletionResult = asked.LastCompletionResult ?? Started.LastCompletionResult;
        attributes.FirstWorkflowTaskBackoff = ProtoTime.IsSet(asked.BackoffStartInterval) ? asked.BackoffStartInterval : null;
        attributes.Memo = asked.Memo ?? CurrentMemo();
        attributes.SearchAttributes = asked.SearchAttributes is null
            ? CurrentSearchAttributes()
            : Engine.SearchAttributes.Complete(Chain.Namespace, asked.SearchAttributes);
        var e = AppendFrom(completion, command, new HistoryEvent
        {
            WorkflowExecutionContinuedAsNewEventAttributes = new WorkflowExecutionContinuedAsNewEventAttributes
            {
                NewExecutionRunId = next.RunId,
                WorkflowType = attributes.WorkflowType,
                TaskQueue = attributes.TaskQueue,
                Input = asked.Input,
                WorkflowRunTimeout = attributes.WorkflowRunTimeout,
                WorkflowTaskTimeout = attributes.WorkflowTaskTimeout,
                WorkflowTaskCompletedEventId = completion.CompletedEventId,
                BackoffStartInterval = asked.BackoffStartInterval,
                Initiator = attributes.Initiator,
                Failure = asked.Failure,
                LastCompletionResult = asked.LastCompletionResult,
                Header = asked.Header,
                Memo = attributes.Memo,
                SearchAttributes = attributes.SearchAttributes,
                InheritBuildId = asked.InheritBuildId,
                InitialVersioningBehavior = asked.InitialVersioningBehavior,
            },
        });
        Close(completion.Work, e, next);
    }

    /// <summary>The run that follows a failure or a run timeout under the workflow's retry policy, or why there is none.</summary>
    private (NewRun? Next, RetryState State) NextRetryRun(UnitOfWork work, Failure failure)
    {
        if (Started.RetryPolicy is not { } policy)
        {
            return (null, RetryState.RetryPolicyNotSet);
        }

        var (at, state) = RetryPolicyRules.Decide(policy, Started.Attempt, failure, work.Now, ProtoTime.InstantOrNull(Started.WorkflowExecutionExpirationTime));
        if (at is null)
        {
            return (null, state);
        }

        var next = Continuation(ContinueAsNewInitiator.Retry);
        next.Attributes.Attempt = Started.Attempt + 1;
        next.Attributes.ContinuedFailure = failure;
        next.Attributes.LastCompletionResult = Started.LastCompletionResult;
        next.Attributes.FirstWorkflowTaskBackoff = ProtoTime.Length(at.Value - work.Now);
        return (next, RetryState.InProgress);
    }

    /// <summary>The next run of a cron workflow, or null when there is no cron schedule or its execution time is over.</summary>
    private NewRun? NextCronRun(UnitOfWork work, Payloads? lastResult, Failure? failure)
    {
        if (Started.CronSchedule.Length == 0 || CancelRequested)
        {
            return null;
        }

        var backoff = CronExpression.Parse(Started.CronSchedule).Backoff(FirstTaskTime, work.Now);
        if (backoff is null || work.Now + backoff > ProtoTime.InstantOrNull(Started.WorkflowExecutionExpirationTime))
        {
            return null;
        }

        var next = Continuation(ContinueAsNewInitiator.CronSchedule);
        next.Attributes.Attempt = 1;
        next.Attributes.ContinuedFailure = failure;
        next.Attributes.LastCompletionResult = lastResult;
        next.Attributes.FirstWorkflowTaskBackoff = ProtoTime.Length(backoff.Value);
        return next;
    }

    /// <summary>What every following run keeps: identity of the chain, type, queue, input, timeouts, parent, memo, search attributes.</summary>
    private NewRun Continuation(ContinueAsNewInitiator initiator)
    {
        var attributes = Started.Clone();
        attributes.ContinuedExecutionRunId = RunId;
        attributes.Initiator = initiator;
        attributes.Memo = CurrentMemo();
        attributes.SearchAttributes = CurrentSearchAttributes();
        return new NewRun(NewId(), Guid.NewGuid().ToString(), attributes) { UserMetadata = Event(1).UserMetadata };
    }

    private Memo? CurrentMemo()
    {
        var current = new Memo();
        current.Fields.Add(memo);
        return memo.Count == 0 ? null : current;
    }

    private SearchAttributes? CurrentSearchAttributes()
    {
        var current = new SearchAttributes();
        current.IndexedFields.Add(searchAttributes);
        return searchAttributes.Count == 0 ? null : current;
    }
}
