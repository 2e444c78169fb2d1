using System.CommandLine;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Demo;

Option<string?> state = new("--state") { Description = "Directory for database, volumes, logs and passwords. Default: .snapshotflow/<command> beside temporal-dev.yaml", HelpName = "DIR" };
Option<string?> bin = new("--bin") { Description = "Directory of published programs (./snapshotflow publish DIR). Default: the build output", HelpName = "DIR" };
Option<int?> apiPort = new("--api-port") { Description = "Port of the API. Default: as temporal-dev.yaml says", HelpName = "N" };
Option<int?> temporalPort = new("--temporal-port") { Description = "Port of Temporal. Default: as temporal-dev.yaml says", HelpName = "N" };
Option<int?> postgresPort = new("--postgres-port") { Description = "Port of PostgreSQL. Default: as temporal-dev.yaml says", HelpName = "N" };
Option<string?> json = new("--json") { Description = "Also write the result to this file", HelpName = "FILE" };

StackOptions Options(ParseResult line, string name, bool ephemeral) => new()
{
    StateDirectory = StateDirectory(line, name),
    ClientDirectory = line.GetValue(state) is null ? Path.GetDirectoryName(StateDirectory(line, name)) : null,
    BinDirectory = line.GetValue(bin),
    Ephemeral = ephemeral,
    ApiPort = line.GetValue(apiPort),
    TemporalPort = line.GetValue(temporalPort),
    PostgresPort = line.GetValue(postgresPort),
};

string StateDirectory(ParseResult line, string name) =>
    line.GetValue(state) ?? Path.Combine(Path.GetDirectoryName(TemporalDevSettings.Load().Path)!, ".snapshotflow", name);

Command up = new("up", "Start everything and keep it running until Ctrl-C or 'down'.") { state, bin, apiPort, temporalPort, postgresPort };
up.SetAction((line, _) => Commands.RunAsync(ct => UpCommand.RunAsync(Options(line, "up", ephemeral: false), ct)));

Command demo = new("demo", "Make images of a running server, kill and break things, and check everything.") { json, state, bin, apiPort, temporalPort, postgresPort };
demo.SetAction((line, _) => Commands.RunAsync(ct => DemoCommand.RunAsync(Options(line, "demo", ephemeral: true), line.GetValue(json), ct)));

Command down = new("down", "Stop what 'up' started.") { state };
down.SetAction((line, _) => Commands.RunAsync(ct => DownCommand.RunAsync(StateDirectory(line, "up"), ct)));

Command hash = new("hash-password", "Read a password from standard input and print it as users files hold it.");
hash.SetAction((_, _) => Commands.RunAsync(HashPasswordCommand.RunAsync));

RootCommand root = new("SnapshotFlow on this machine: PostgreSQL, Temporal, API, workers and a guest, all on loopback.") { demo, up, down, hash };

// Signals are ours (StopSignals): the library's default would end the process two seconds after Ctrl-C, before PostgreSQL has stopped.
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
