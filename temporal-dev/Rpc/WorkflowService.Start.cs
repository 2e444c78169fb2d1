using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Time;
using SnapshotFlow.TemporalDev.Visibility;

namespace SnapshotFlow.TemporalDev.Rpc;

internal sealed partial class WorkflowService
{
    public Task<StartWorkflowExecutionResponse> StartWorkflowExecution(StartWorkflowExecutionRequest request, ServerCallContext context) => StartAsync(request);

    /// <summary>Starts a workflow for a client, or for a schedule.</summary>
    public async Task<StartWorkflowExecutionResponse> StartAsync(StartWorkflowExecutionRequest request)
    {
        RequireNamespace(request.Namespace);
        var start = PrepareStart(request) with
        {
            Then = (work, run, started) =>
            {
                if (!started)
                {
                    run.Attach(work, request);
                }
            },
        };
        return Answer(await engine.StartAsync(request.Namespace, request.WorkflowId, start));
    }

    public async Task<SignalWithStartWorkflowExecutionResponse> SignalWithStartWorkflowExecution(
        SignalWithStartWorkflowExecutionRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        if (request.SignalName.Length == 0)
        {
            throw Fault.Invalid("SignalName is not set on request.");
        }

        RequireSize(request.SignalInput, "Signal input");
        var start = PrepareStart(StartPart(request));
        start = start with
        {
            // An open run is signalled, whatever the policy says about starting another.
            Conflict = start.Conflict == WorkflowIdConflictPolicy.TerminateExisting ? start.Conflict : WorkflowIdConflictPolicy.UseExisting,
            Then = (work, run, started) => run.Signal(
                work,
                new WorkflowExecutionSignaledEventAttributes
                {
                    SignalName = request.SignalName,
                    Input = request.SignalInput,
                    Header = request.Header,
                    Identity = request.Identity,
                    RequestId = start.Run.RequestId,
                },
                request.Links,
                endsDelay: !started),
        };
        var outcome = await engine.StartAsync(request.Namespace, request.WorkflowId, start);
        return new SignalWithStartWorkflowExecutionResponse
        {
            RunId = outcome.Run.RunId,
            FirstExecutionRunId = outcome.Run.FirstRunId,
            Started = outcome.Started,
        };
    }

    private static StartWorkflowExecutionResponse Answer(StartOutcome outcome) => new()
    {
        RunId = outcome.Run.RunId,
        FirstExecutionRunId = outcome.Run.FirstRunId,
        Started = outcome.Started,
        Status = outcome.Run.Status,
        Link = new Link
        {
            WorkflowEvent = new Link.Types.WorkflowEvent
            {
                Namespace = outcome.Run.Chain.Namespace,
                WorkflowId = outcome.Run.Chain.WorkflowId,
                RunId = outcome.Run.RunId,
                EventRef = new Link.Types.WorkflowEvent.Types.EventReference { EventId = 1, EventType = EventType.WorkflowExecutionStarted },
            },
        },
    };

    private static StartWorkflowExecutionRequest StartPart(SignalWithStartWorkflowExecutionRequest request)
    {
        var start = new StartWorkflowExecutionRequest
        {
            Namespace = request.Namespace,
            WorkflowId = request.WorkflowId,
            WorkflowType = request.WorkflowType,
            TaskQueue = request.TaskQueue,
            Input = request.Input,
            WorkflowExecutionTimeout = request.WorkflowExecutionTimeout,
            WorkflowRunTimeout = request.WorkflowRunTimeout,
            WorkflowTaskTimeout = request.WorkflowTaskTimeout,
            Identity = request.Identity,
            RequestId = request.RequestId,
            WorkflowIdReusePolicy = request.WorkflowIdReusePolicy,
            WorkflowIdConflictPolicy = request.WorkflowIdConflictPolicy,
            RetryPolicy = request.RetryPolicy,
            CronSchedule = request.CronSchedule,
            Memo = request.Memo,
            SearchAttributes = request.SearchAttributes,
            Header = request.Header,
            WorkflowStartDelay = request.WorkflowStartDelay,
            UserMetadata = request.UserMetadata,
            Priority = request.Priority,
            VersioningOverride = request.VersioningOverride,
        };
        start.Links.Add(request.Links);
        return start;
    }

    /// <summary>Checks a start and turns it into what the engine understands.</summary>
    private StartRequest PrepareStart(StartWorkflowExecutionRequest request)
    {
        if (request.WorkflowId.Length == 0)
        {
            throw Fault.Invalid("WorkflowId is not set on request.");
        }

        if (request.WorkflowId.Length > 1000)
        {
            throw Fault.Invalid("WorkflowId length exceeds limit.");
        }

        if (string.IsNullOrEmpty(request.WorkflowType?.Name))
        {
            throw Fault.Invalid("WorkflowType is not set on request.");
        }

        if (string.IsNullOrEmpty(request.TaskQueue?.Name))
        {
            throw Fault.Invalid("TaskQueue is not set on request.");
        }

        if (request.WorkflowIdReusePolicy == WorkflowIdReusePolicy.TerminateIfRunning && request.WorkflowIdConflictPolicy != WorkflowIdConflictPolicy.Unspecified)
        {
            throw Fault.Invalid("Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together with a WorkflowIDConflictPolicy.");
        }

        if (request is { WorkflowIdReusePolicy: WorkflowIdReusePolicy.RejectDuplicate, WorkflowIdConflictPolicy: WorkflowIdConflictPolicy.TerminateExisting })
        {
            throw Fault.Invalid("Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING.");
        }

        if (RetryPolicyRules.FindFault(request.RetryPolicy) is { } fault)
        {
            throw Fault.Invalid(fault);
        }

        RequireCron(request);
        RequireSize(request.Input, "Workflow input");
        RequireSize(request.Memo, "Memo");
        var copy = request.Clone();
        try
        {
            copy.SearchAttributes = engine.SearchAttributes.Complete(request.Namespace, request.SearchAttributes);
        }
        catch (SearchAttributeException e)
        {
            throw Fault.Invalid(e.Message);
        }

        var requestId = request.RequestId.Length > 0 ? request.RequestId : Guid.NewGuid().ToString();
        var run = new NewRun(Run.NewId(), requestId, StartAttributes.OfRequest(copy, engine.Clock.GetUtcNow()))
        {
            UserMetadata = copy.UserMetadata,
            Links = copy.Links,
        };
        return new StartRequest(run, request.WorkflowIdReusePolicy, request.WorkflowIdConflictPolicy);
    }

    private static void RequireCron(StartWorkflowExecutionRequest request)
    {
        if (request.CronSchedule.Length == 0)
        {
            return;
        }

        if (ProtoTime.IsSet(request.WorkflowStartDelay))
        {
            throw Fault.Invalid("CronSchedule and WorkflowStartDelay may not be used together.");
        }

        try
        {
            CronExpression.Parse(request.CronSchedule);
        }
        catch (FormatException e)
        {
            throw Fault.Invalid($"Invalid CronSchedule: {e.Message}");
        }
    }

    /// <summary>Source: Temporal, blob size limit.</summary>
    private void RequireSize(IMessage? message, string what)
    {
        if (message is not null && message.CalculateSize() > engine.Options.BlobSizeLimit)
        {
            throw Fault.Invalid($"{what} exceeds size limit of {engine.Options.BlobSizeLimit} bytes.");
        }
    }
}
