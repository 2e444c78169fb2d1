using System.CommandLine;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Demo;

Option<string?> state = new("--state") { Description = "Directory for database, volumes, logs and passwords. Default: .snapshotflow/<command> beside temporal-dev.yaml", HelpName = "DIR" };
Option<string?> bin = new("--bin") { Description = "Directory of published programs (./snapshotflow publish DIR). Default: the build output", HelpName = "DIR" };
Option<int?> apiPort = new("--api-port") { Description = "Port of the API. Default: as temporal-dev.yaml says", HelpName = "N", CustomParser = Port };
Option<int?> temporalPort = new("--temporal-port") { Description = "Port of Temporal. Default: as temporal-dev.yaml says", HelpName = "N", CustomParser = Port };
Option<int?> postgresPort = new("--postgres-port") { Description = "Port of PostgreSQL. Default: as temporal-dev.yaml says", HelpName = "N", CustomParser = Port };
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

Argument<string> inventory = new("file") { Description = "YAML file of servers, volumes, volume types and quotas; see docs/inventory.md" };
Option<Uri?> api = new("--api") { Description = "The API. Default: where the catalog of the identity service says that the Compute service is", HelpName = "URL", CustomParser = Url };
Command import = new("import", "Register the servers, volumes, volume types and quotas of a file.") { inventory, api };
import.SetAction((line, _) => Commands.RunAsync(ct => ImportCommand.RunAsync(
    line.GetValue(inventory)!, line.GetValue(api), Path.Combine(Path.GetDirectoryName(TemporalDevSettings.Load().Path)!, ".snapshotflow", "openrc-admin"), ct)));

static int? Port(System.CommandLine.Parsing.ArgumentResult result)
{
    if (int.TryParse(result.Tokens[0].Value, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var port) && port is > 0 and <= System.Net.IPEndPoint.MaxPort)
    {
        return port;
    }

    result.AddError($"'{result.Tokens[0].Value}' is no port: write a number from 1 to {System.Net.IPEndPoint.MaxPort}");
    return null;
}

static Uri? Url(System.CommandLine.Parsing.ArgumentResult result)
{
    if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var url) && url.Scheme is "http" or "https")
    {
        return url;
    }

    result.AddError("--api must be an http or https URL");
    return null;
}

RootCommand root = new("SnapshotFlow on this machine: PostgreSQL, Temporal, API, workers and a guest, all on loopback.") { demo, up, down, import, hash };

// Signals are ours (StopSignals): the library's default would end the process two seconds after Ctrl-C, before PostgreSQL has stopped.
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
