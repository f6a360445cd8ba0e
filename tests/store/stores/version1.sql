BEGIN TRANSACTION;
CREATE TABLE cell_plan (
	node INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	origin TEXT NOT NULL, 
	permutation TEXT NOT NULL, 
	PRIMARY KEY (node, position), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
CREATE TABLE curve (
	trial INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (trial), 
	FOREIGN KEY(trial) REFERENCES trial (pk)
);
CREATE TABLE decision (
	pk INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	content TEXT NOT NULL, 
	child TEXT, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (node, digest), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "decision" VALUES(1,1,'16c096e229822952','{"author":"ann","child":"ea18fa78b395","edits":{},"forecast":{"best":[-3.30764669,-1.95133327,-1.07484479,-0.866366647,-0.648075727,-0.308623406,-0.0543940752,0.0,0.0],"levels":[0.01,0.05,0.1,0.25,0.5,0.75,0.9,0.95,0.99],"median":[-7.27414794,-4.81050126,-4.16515669,-3.18484045,-1.54314426,-0.983375351,-0.786491487,-0.686080596,-0.37103682],"n":5},"kept":0.2222222222222222,"kind":"accepted","n":5,"note":"as proposed","proposal":"46a824da76cfe4a2","rejected":[],"retention":0.9918032786885246,"space":{"constraints":[],"parameters":[["lr",{"levels":[0.5,0.625,0.75,0.875,1.0,1.125,1.25,1.375,1.5],"log":false,"type":"float"}],["dropout",{"levels":[0.0,0.1,0.2,0.3,0.4,0.5],"log":false,"type":"float"}],["optimizer",{"type":"choice","values":["Adam","Nadam","SGD"]}],["junk",{"levels":[1,2,3,4,5,6,7,8],"log":false,"type":"int"}],["epochs",{"type":"choice","values":[150]}]]}}','ea18fa78b395',1.79554706977331948e+09);
CREATE TABLE inherited (
	node INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	PRIMARY KEY (node, "key"), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "inherited" VALUES(2,'564768b07222115f');
INSERT INTO "inherited" VALUES(2,'8ede0886cf062961');
INSERT INTO "inherited" VALUES(2,'d74103f1a7c7045d');
INSERT INTO "inherited" VALUES(2,'d86ba9f80c8b704c');
INSERT INTO "inherited" VALUES(2,'dd857e932689bb75');
INSERT INTO "inherited" VALUES(2,'ea5a99651687768c');
INSERT INTO "inherited" VALUES(2,'f24f1190bb7123b5');
CREATE TABLE lease (
	node INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	beat DOUBLE NOT NULL, 
	PRIMARY KEY (node), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema','1');
CREATE TABLE node (
	pk INTEGER NOT NULL, 
	tree INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	content TEXT NOT NULL, 
	metric TEXT NOT NULL, 
	direction TEXT NOT NULL, 
	note TEXT NOT NULL, 
	author TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (tree, id), 
	FOREIGN KEY(tree) REFERENCES tree (pk)
);
INSERT INTO "node" VALUES(1,1,'e20b1abd3731','{"data":null,"design":{"counter":0.0,"focus":0.0,"method":"sobol"},"objective":"objectives.bowl","parent":null,"seed":3,"space":{"constraints":[],"parameters":[["lr",{"levels":[0.5,1.0,1.5,2.0,2.5,3.0,3.5,4.0,4.5,5.0],"log":false,"type":"float"}],["dropout",{"levels":[0.0,0.1,0.2,0.3,0.4,0.5],"log":false,"type":"float"}],["optimizer",{"type":"choice","values":["Adam","Nadam","SGD"]}],["junk",{"levels":[1,2,3,4,5,6,7,8],"log":false,"type":"int"}],["epochs",{"type":"choice","values":[150]}]]}}','value','maximize','made by version 1','ann',1.79554706663089823e+09);
INSERT INTO "node" VALUES(2,1,'ea18fa78b395','{"data":null,"design":{"counter":0.05,"focus":0.0,"method":"sobol"},"objective":"objectives.bowl","parent":"e20b1abd3731","seed":3,"space":{"constraints":[],"parameters":[["lr",{"levels":[0.5,0.625,0.75,0.875,1.0,1.125,1.25,1.375,1.5],"log":false,"type":"float"}],["dropout",{"levels":[0.0,0.1,0.2,0.3,0.4,0.5],"log":false,"type":"float"}],["optimizer",{"type":"choice","values":["Adam","Nadam","SGD"]}],["junk",{"levels":[1,2,3,4,5,6,7,8],"log":false,"type":"int"}],["epochs",{"type":"choice","values":[150]}]]}}','value','maximize','as proposed','ann',1.79554706918830156e+09);
CREATE TABLE "plan" (
	pk INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "plan" VALUES(1,1,20,1.79554706663465523e+09);
INSERT INTO "plan" VALUES(2,2,5,1.79554706977255606e+09);
CREATE TABLE proposal (
	pk INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	content TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (node, digest), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "proposal" VALUES(1,1,'46a824da76cfe4a2','{"advice":{"hit":59,"judge":120,"n":130,"reason":"59 even permutations hit the best 5.0 % of the proposed space with probability 0.95 and 120 bring the 24 good trials that it takes to judge 4 parameters, so 130 permutations would do.","seconds":0.00055861},"changes":[{"kept":0.222222222,"kind":"narrow","name":"lr","q":8.4939928e-05,"reason":"value falls with lr: rank correlation -0.87 (95 % interval -0.98 to -0.58), q < 0.001. At 0.5 to 1.5 the best 20 % of trials are 2.8 times as frequent as overall (7 trials), at the other 7 levels hardly ever (13 trials)."},{"kept":1.0,"kind":"keep","name":"dropout","q":0.993089998,"reason":"Can''t be judged yet, 4 trials in the good region and 24 needed; nothing seen so far: rank correlation -0.16 (95 % interval -0.61 to +0.30), q = 0.99, which is above 0.1. All of it stays."},{"kept":1.0,"kind":"keep","name":"optimizer","q":0.101804785,"reason":"Can''t be judged yet, 4 trials in the good region and 24 needed; nothing seen so far: its choices differ by no more than chance would have it (epsilon squared 0.12), q = 0.1, which is above 0.1. All of it stays."},{"kept":1.0,"kind":"keep","name":"junk","q":0.58,"reason":"The objective never read junk, so its values changed nothing; either the model reads another name, or the parameter can go."}],"epsilon":0.0656289989,"epsilon_source":"residuals","evidence":"257c27e5d0e64398","kept":0.222222222,"metric":"value","n":20,"offers":[],"old":{"constraints":[],"parameters":[["lr",{"levels":[0.5,1.0,1.5,2.0,2.5,3.0,3.5,4.0,4.5,5.0],"log":false,"type":"float"}],["dropout",{"levels":[0.0,0.1,0.2,0.3,0.4,0.5],"log":false,"type":"float"}],["optimizer",{"type":"choice","values":["Adam","Nadam","SGD"]}],["junk",{"levels":[1,2,3,4,5,6,7,8],"log":false,"type":"int"}],["epochs",{"type":"choice","values":[150]}]]},"retention":0.991803279,"risk":0.05,"space":{"constraints":[],"parameters":[["lr",{"levels":[0.5,0.625,0.75,0.875,1.0,1.125,1.25,1.375,1.5],"log":false,"type":"float"}],["dropout",{"levels":[0.0,0.1,0.2,0.3,0.4,0.5],"log":false,"type":"float"}],["optimizer",{"type":"choice","values":["Adam","Nadam","SGD"]}],["junk",{"levels":[1,2,3,4,5,6,7,8],"log":false,"type":"int"}],["epochs",{"type":"choice","values":[150]}]]}}',1.79554706918421745e+09);
CREATE TABLE run (
	pk INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	environment TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "run" VALUES(1,1,'{}',1.79554706790056824e+09);
INSERT INTO "run" VALUES(2,2,'{}',1.79554706982300305e+09);
CREATE TABLE tag (
	pk INTEGER NOT NULL, 
	tree INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	node INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (tree, name), 
	FOREIGN KEY(tree) REFERENCES tree (pk), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "tag" VALUES(1,1,'paper',2,1.79554706983156228e+09);
CREATE TABLE tree (
	pk INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (name)
);
INSERT INTO "tree" VALUES(1,'question',1.79554706662977933e+09);
CREATE TABLE trial (
	pk INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	replicate INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	cell TEXT, 
	origin TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	permutation TEXT NOT NULL, 
	metrics TEXT NOT NULL, 
	seconds DOUBLE NOT NULL, 
	code TEXT NOT NULL, 
	read TEXT, 
	error TEXT, 
	finished DOUBLE NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (node, "key", replicate, attempt), 
	FOREIGN KEY(node) REFERENCES node (pk)
);
INSERT INTO "trial" VALUES(1,1,'1a3b81e8288adec0',0,0,'478','even',948045451,'complete','{"dropout":0.1,"epochs":150,"junk":7,"lr":2.0,"optimizer":"SGD"}','{"value": -2.56}',7.72650000726571306e-05,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790787029e+09);
INSERT INTO "trial" VALUES(2,1,'8d3d1f38dcec636d',0,0,'1427','even',1969089308,'complete','{"dropout":0.5,"epochs":150,"junk":4,"lr":5.0,"optimizer":"Nadam"}','{"value": -13.96}',7.96200038166716694e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790874958e+09);
INSERT INTO "trial" VALUES(3,1,'27ccadd2758f3360',0,0,'732','even',287550342,'complete','{"dropout":0.0,"epochs":150,"junk":5,"lr":3.0,"optimizer":"Nadam"}','{"value": -2.5600000000000005}',6.34000025456771254e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790890812e+09);
INSERT INTO "trial" VALUES(4,1,'d74103f1a7c7045d',0,0,'217','even',1763030021,'complete','{"dropout":0.3,"epochs":150,"junk":2,"lr":1.0,"optimizer":"Adam"}','{"value": -0.7599999999999999}',4.96699976793024689e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790904402e+09);
INSERT INTO "trial" VALUES(5,1,'564768b07222115f',0,0,'24','even',999566031,'complete','{"dropout":0.1,"epochs":150,"junk":1,"lr":0.5,"optimizer":"Adam"}','{"value": -1.0099999999999998}',5.04699983139289543e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790916705e+09);
INSERT INTO "trial" VALUES(6,1,'92b734973c11df74',0,0,'1101','even',1966301236,'complete','{"dropout":0.3,"epochs":150,"junk":6,"lr":4.0,"optimizer":"SGD"}','{"value": -9.36}',4.58700014860369265e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790928435e+09);
INSERT INTO "trial" VALUES(7,1,'e3b5a510e06406c8',0,0,'1058','even',38128642,'complete','{"dropout":0.2,"epochs":150,"junk":3,"lr":4.0,"optimizer":"Adam"}','{"value": -7.160000000000001}',4.31700027547776699e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790939331e+09);
INSERT INTO "trial" VALUES(8,1,'d36774b2638594e0',0,0,'719','even',1680725653,'complete','{"dropout":0.5,"epochs":150,"junk":8,"lr":2.5,"optimizer":"SGD"}','{"value": -4.21}',7.44099997973535209e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790951418e+09);
INSERT INTO "trial" VALUES(9,1,'6bc64f5bcfe37a7c',0,0,'581','even',1578571809,'complete','{"dropout":0.0,"epochs":150,"junk":6,"lr":2.5,"optimizer":"Adam"}','{"value": -1.2100000000000002}',4.64699951407965272e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790963268e+09);
INSERT INTO "trial" VALUES(10,1,'5dae46c011f28f75',0,0,'1232','even',1300188820,'complete','{"dropout":0.3,"epochs":150,"junk":1,"lr":4.5,"optimizer":"Nadam"}','{"value": -10.21}',4.27699978899909183e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.7955470679097402e+09);
INSERT INTO "trial" VALUES(11,1,'56f50614b2f3a678',0,0,'927','even',158899552,'complete','{"dropout":0.2,"epochs":150,"junk":8,"lr":3.5,"optimizer":"Nadam"}','{"value": -4.8100000000000005}',3.74499995814403519e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790984416e+09);
INSERT INTO "trial" VALUES(12,1,'f24f1190bb7123b5',0,0,'114','even',22875245,'complete','{"dropout":0.4,"epochs":150,"junk":3,"lr":0.5,"optimizer":"SGD"}','{"value": -3.61}',3.95600000047124922e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706790994715e+09);
INSERT INTO "trial" VALUES(13,1,'ea5a99651687768c',0,0,'347','even',139920834,'complete','{"dropout":0.2,"epochs":150,"junk":4,"lr":1.5,"optimizer":"Nadam"}','{"value": -0.41000000000000003}',3.38500012730946764e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.795547067910048e+09);
INSERT INTO "trial" VALUES(14,1,'2fb784ea08e4676a',0,0,'846','even',2131374802,'complete','{"dropout":0.5,"epochs":150,"junk":7,"lr":3.0,"optimizer":"Adam"}','{"value": -3.5600000000000005}',3.40499991580145433e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706791015291e+09);
INSERT INTO "trial" VALUES(15,1,'e1d791d4fdd6f34b',0,0,'1313','even',1747329785,'complete','{"dropout":0.0,"epochs":150,"junk":2,"lr":5.0,"optimizer":"SGD"}','{"value": -14.96}',3.29399972542887553e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.7955470679102509e+09);
INSERT INTO "trial" VALUES(16,1,'dd857e932689bb75',0,0,'396','even',1316259338,'complete','{"dropout":0.4,"epochs":150,"junk":5,"lr":1.5,"optimizer":"Nadam"}','{"value": -0.81}',4.71699968329630792e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706791034817e+09);
INSERT INTO "trial" VALUES(17,1,'8ede0886cf062961',0,0,'322','even',1160196651,'complete','{"dropout":0.1,"epochs":150,"junk":3,"lr":1.5,"optimizer":"Nadam"}','{"value": -0.21000000000000002}',3.24399934470420703e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.7955470679104433e+09);
INSERT INTO "trial" VALUES(18,1,'aaa1ab439a7f9b03',0,0,'1399','even',1450139960,'complete','{"dropout":0.4,"epochs":150,"junk":8,"lr":5.0,"optimizer":"Adam"}','{"value": -13.760000000000002}',3.25500059261685237e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706791053891e+09);
INSERT INTO "trial" VALUES(19,1,'21c92db07a28bbac',0,0,'784','even',657712140,'complete','{"dropout":0.2,"epochs":150,"junk":1,"lr":3.0,"optimizer":"SGD"}','{"value": -4.960000000000001}',3.43500050803413614e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706791063618e+09);
INSERT INTO "trial" VALUES(20,1,'d86ba9f80c8b704c',0,0,'421','even',361653086,'complete','{"dropout":0.5,"epochs":150,"junk":6,"lr":1.5,"optimizer":"Nadam"}','{"value": -1.01}',3.24499978887615725e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706791073346e+09);
INSERT INTO "trial" VALUES(21,2,'841ce9456b1f2f88',0,0,'1157','even',1776197822,'complete','{"dropout":0.0,"epochs":150,"junk":6,"lr":1.5,"optimizer":"Adam"}','{"value": -0.010000000000000018}',1.22162000479875132e-04,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706982783722e+09);
INSERT INTO "trial" VALUES(22,2,'d692f41b84c8525f',0,0,'690','even',683107252,'complete','{"dropout":0.4,"epochs":150,"junk":3,"lr":1.0,"optimizer":"SGD"}','{"value": -2.96}',6.30999966233503073e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706982819533e+09);
INSERT INTO "trial" VALUES(23,2,'0f2632749e2f2075',0,0,'207','even',189453696,'complete','{"dropout":0.2,"epochs":150,"junk":8,"lr":0.625,"optimizer":"Nadam"}','{"value": -1.0006249999999999}',4.46699959866236895e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706982833838e+09);
INSERT INTO "trial" VALUES(24,2,'e649c2278a6e1264',0,0,'968','even',67737299,'complete','{"dropout":0.4,"epochs":150,"junk":1,"lr":1.25,"optimizer":"Nadam"}','{"value": -0.8225}',4.18600029661320149e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706982845592e+09);
INSERT INTO "trial" VALUES(25,2,'37db88376d7cd322',0,0,'761','even',1168705908,'complete','{"dropout":0.1,"epochs":150,"junk":2,"lr":1.125,"optimizer":"SGD"}','{"value": -2.275625}',3.89500019082333892e-06,'785d5e6a3eaa','["lr","dropout","optimizer"]',NULL,1.79554706982856893e+09);
CREATE INDEX plan_node ON "plan" (node);
CREATE INDEX run_node ON run (node);
CREATE INDEX trial_node ON trial (node, pk);
COMMIT;
