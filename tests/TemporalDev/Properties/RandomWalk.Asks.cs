using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.TaskQueue.V1;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>What a workflow asks for when it completes a task.</summary>
internal sealed partial class RandomWalk
{
    private List<Ask> DrawAsks(RunModel run)
    {
        var asks = new List<Ask>();
        var cancelable = run.Activities.Where(a => !a.CancelAsked).Select(a => a.Id).ToList();
        var timers = run.CancelableTimers.ToList();
        for (var i = random.Next(5); i > 0; i--)
        {
            switch (random.Next(8))
            {
                case 0 or 1 or 2:
                    asks.Add(new Ask.Schedule(NewName()));
                    break;
                case 3 or 4:
                    asks.Add(new Ask.StartTimer(NewName(), TimeSpan.FromMicroseconds(random.Next(1, 12_000_000))));
                    break;
                case 5 when cancelable.Count > 0:
                    asks.Add(new Ask.CancelActivity(Take(cancelable)));
                    break;
                case 6 when timers.Count > 0:
                    asks.Add(new Ask.CancelTimer(Take(timers)));
                    break;
                default:
                    asks.Add(new Ask.Mark(NewName()));
                    break;
            }
        }

        switch (random.Next(25))
        {
            case 0:
                asks.Add(new Ask.Complete());
                break;
            case 1:
                asks.Add(new Ask.Fail());
                break;
            case 2:
                asks.Add(new Ask.Continue());
                break;
        }

        return asks;
    }

    private string Take(List<string> from)
    {
        var index = random.Next(from.Count);
        var taken = from[index];
        from.RemoveAt(index);
        return taken;
    }

    private Command ToCommand(Ask ask, string runId) => ask switch
    {
        Ask.Schedule schedule => new Command
        {
            CommandType = CommandType.ScheduleActivityTask,
            ScheduleActivityTaskCommandAttributes = new ScheduleActivityTaskCommandAttributes
            {
                ActivityId = schedule.Activity,
                ActivityType = new ActivityType { Name = "A" },
                TaskQueue = new TaskQueue { Name = Queue },
                StartToCloseTimeout = Duration.FromTimeSpan(RunModel.ActivityTimeout),
                RetryPolicy = new RetryPolicy { MaximumAttempts = RunModel.ActivityAttempts },
            },
        },
        Ask.CancelActivity cancel => new Command
        {
            CommandType = CommandType.RequestCancelActivityTask,
            RequestCancelActivityTaskCommandAttributes = new RequestCancelActivityTaskCommandAttributes { ScheduledEventId = ScheduledEventId(runId, cancel.Activity) },
        },
        Ask.StartTimer timer => new Command
        {
            CommandType = CommandType.StartTimer,
            StartTimerCommandAttributes = new StartTimerCommandAttributes { TimerId = timer.Timer, StartToFireTimeout = Duration.FromTimeSpan(timer.After) },
        },
        Ask.CancelTimer timer => new Command
        {
            CommandType = CommandType.CancelTimer,
            CancelTimerCommandAttributes = new CancelTimerCommandAttributes { TimerId = timer.Timer },
        },
        Ask.Mark mark => new Command
        {
            CommandType = CommandType.RecordMarker,
            RecordMarkerCommandAttributes = new RecordMarkerCommandAttributes { MarkerName = mark.Name },
        },
        Ask.Complete => new Command
        {
            CommandType = CommandType.CompleteWorkflowExecution,
            CompleteWorkflowExecutionCommandAttributes = new CompleteWorkflowExecutionCommandAttributes(),
        },
        Ask.Fail => new Command
        {
            CommandType = CommandType.FailWorkflowExecution,
            FailWorkflowExecutionCommandAttributes = new FailWorkflowExecutionCommandAttributes { Failure = new Failure { Message = "no" } },
        },
        _ => new Command
        {
            CommandType = CommandType.ContinueAsNewWorkflowExecution,
            ContinueAsNewWorkflowExecutionCommandAttributes = new ContinueAsNewWorkflowExecutionCommandAttributes(),
        },
    };

    private long ScheduledEventId(string runId, string activity) => server.Engine.Chains.Select(c => c.Runs.GetValueOrDefault(runId)).Single(r => r is not null)!
        .History.Single(e => e.ActivityTaskScheduledEventAttributes?.ActivityId == activity).EventId;
}
